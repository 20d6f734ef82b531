"""The service on a real Ray Serve."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import mcdrop
from mcdrop.errors import DataError

ray = pytest.importorskip("ray", reason="needs Ray Serve: make test-cluster")
serve = pytest.importorskip("ray.serve", reason="needs Ray Serve: make test-cluster")
keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]

URL = "http://127.0.0.1:18123"
THRESHOLD = 1.0
COLUMNS = ["predicted_class", "confidence", "predictive_entropy", "abstain"]


def ask(path, body):
    request = urllib.request.Request(URL + path, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def ask_at_once(bodies, path="/predict"):
    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(lambda body: ask(path, body), bodies))


def save_two_inputs(path):
    image, meta = keras.Input((2, 2), name="image"), keras.Input((None, 1), name="meta")
    pooled = keras.layers.GlobalAveragePooling1D()(meta)
    joined = keras.layers.Concatenate()([keras.layers.Flatten()(image), pooled])
    value = keras.layers.Dense(1, name="value")(keras.layers.Dropout(0.5)(joined))
    model = keras.Model([image, meta], value)
    model.compile("adam", "mse")
    model.save(path)
    return mcdrop.MCDropout(model)


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory):
    """Two models that are served, in this process."""
    from mcdrop.distributed.service import Settings, build

    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    head = [layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((5,)), *head])
    model.save(folder / "m.keras")
    two = save_two_inputs(folder / "two.keras")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"port": 18123})
    settings = Settings(
        model=str(folder / "m.keras"),
        abstain_above=THRESHOLD,
        columns=",".join(COLUMNS),
        num_samples=20,
    )
    serve.run(build(settings))
    given = {"model": str(folder / "two.keras"), "num_samples": 7, "seed": 3, "masks": "shared"}
    serve.run(build(Settings(**given)), name="two", route_prefix="/two")
    yield mcdrop.MCDropout(model), two
    serve.shutdown()
    ray.shutdown()


def test_requests_at_once_have_the_answers_of_requests_alone(wrapped):
    x = np.random.default_rng(0).normal(size=(40, 5)).astype(np.float32)
    answers = ask_at_once([{"input": row.tolist()} for row in x])
    assert [status for status, _ in answers] == [200] * len(x)
    found = [answer for _, answer in answers]
    assert list(found[0]) == COLUMNS
    wanted = wrapped[0].predict(x, num_samples=20, examples=np.zeros(len(x), int))
    entropies = np.array([answer["predictive_entropy"] for answer in found])
    np.testing.assert_allclose(entropies, wanted.predictive_entropy, atol=1e-5)
    assert [answer["predicted_class"] for answer in found] == wanted.predicted_class.tolist()
    assert [answer["abstain"] for answer in found] == (entropies > THRESHOLD).tolist()
    assert 0 < np.mean(entropies > THRESHOLD) < 1


def test_several_inputs_go_by_name_and_may_differ_in_length(wrapped):
    rng = np.random.default_rng(1)
    rows = [{"image": rng.normal(size=(2, 2)), "meta": rng.normal(size=(n, 1))} for n in (1, 4, 4)]
    bodies = [{"input": {name: array.tolist() for name, array in row.items()}} for row in rows]
    answers = ask_at_once(bodies * 3, "/two/predict")
    assert [status for status, _ in answers] == [200] * 9
    for row, (_, answer) in zip(rows * 3, answers, strict=True):
        given = {name: array[np.newaxis].astype(np.float32) for name, array in row.items()}
        frame = wrapped[1].predict(given, num_samples=7, seed=3).to_frame()
        assert set(answer) == {*frame, "dropped"} - {"example"}
        assert answer["std"] == pytest.approx(frame["std"][0], abs=1e-5)
    assert ask("/two/predict", {"input": bodies[0]["input"]["image"]})[0] == 422


def test_a_wrong_request_is_told_and_fails_no_other(wrapped):
    good = {"input": [0.0] * 5}
    wrong = [[0.0] * 4, [float("nan")] * 5, ["a"] * 5, [[0.0], [0.0, 1.0]], {"a": 1}, None]
    answers = ask_at_once([good, {}, *({"input": value} for value in wrong)] * 4)
    assert [status for status, _ in answers] == [200, *[422] * 7] * 4
    assert "expected to hold numbers of shape (5,)" in answers[2][1]["detail"]


def test_what_the_model_makes_no_number_of_abstains_and_fails_no_other(wrapped):
    good, huge = {"input": [0.0] * 5}, {"input": [3e38, -3e38, 3e38, 3e38, -3e38]}
    answers = ask_at_once([good, huge] * 8)
    assert [status for status, _ in answers] == [200] * 16
    for _, answer in answers[1::2]:
        assert answer["abstain"] is True
        assert answer["predictive_entropy"] is None
    assert all(answer["confidence"] > 0 for _, answer in answers[::2])


def test_the_interface_is_described(wrapped):
    with urllib.request.urlopen(f"{URL}/openapi.json") as answer:
        document = json.load(answer)
    assert set(document["components"]["schemas"]) >= {"Request", "Answer"}
    assert "/predict" in document["paths"]


def test_a_setting_that_is_none_is_told_before_the_service_starts():
    from mcdrop.distributed.service import Settings, build

    with pytest.raises(DataError, match="`sead` is no setting of a Predictor"):
        build(Settings(model="m.keras", sead=3))
