"""The service of examples/ray_serve.py on a real Ray Serve."""

import importlib.util
import json
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mcdrop

ray = pytest.importorskip("ray", reason="needs Ray Serve: make test-cluster")
serve = pytest.importorskip("ray.serve", reason="needs Ray Serve: make test-cluster")
keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

EXAMPLE = Path(__file__).parents[2] / "examples" / "ray_serve.py"
PORT = 18123
THRESHOLD = 1.0


def post(body):
    data = json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/predict", data)
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.fixture(scope="module")
def mc(tmp_path_factory):
    keras.utils.set_random_seed(0)
    layers = keras.layers
    head = [layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((5,)), *head])
    path = tmp_path_factory.mktemp("models") / "m.keras"
    model.save(path)
    spec = importlib.util.spec_from_file_location("ray_serve", EXAMPLE)
    example = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    ray.cloudpickle.register_pickle_by_value(example)
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, ignore_reinit_error=True)
    serve.start(http_options={"port": PORT})
    serve.run(example.build(str(path), THRESHOLD, 20))
    yield mcdrop.MCDropout(model)
    serve.shutdown()
    ray.shutdown()


def test_requests_at_once_have_the_answers_of_requests_alone(mc):
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda row: post({"input": row.tolist()}), x))
    assert [status for status, _ in answers] == [200] * len(x)
    zeros = np.zeros(len(x), int)
    wanted = mc.predict(x, num_samples=20, examples=zeros)
    found = [answer for _, answer in answers]
    entropies = np.array([answer["predictive_entropy"] for answer in found])
    np.testing.assert_allclose(entropies, wanted.predictive_entropy, atol=1e-5)
    assert [answer["predicted_class"] for answer in found] == wanted.predicted_class.tolist()
    assert [answer["abstain"] for answer in found] == (entropies > THRESHOLD).tolist()
    assert 0 < np.mean(entropies > THRESHOLD) < 1


def test_a_wrong_request_is_told_and_fails_no_other(mc):
    good = {"input": [0.0] * 5}
    bodies = [good, {"input": [0.0] * 4}, {"input": [float("nan")] * 5}, {"input": ["a"] * 5}, {}]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, bodies * 4))
    assert [status for status, _ in answers] == [200, 422, 422, 422, 422] * 4
    assert "shape (5,)" in answers[1][1]["detail"]


def test_the_interface_is_described(mc):
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/openapi.json") as answer:
        document = json.load(answer)
    properties = document["components"]["schemas"]["Answer"]["properties"]
    assert list(properties) == ["predicted_class", "confidence", "predictive_entropy", "abstain"]
