"""The predictor on a real local Spark."""

import os
import sys

import numpy as np
import pandas as pd
import pytest

import mcdrop
from mcdrop.distributed import Predictor

pytest.importorskip("pyspark", reason="needs Spark and Java: make test-cluster")
keras = pytest.importorskip("keras")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def session():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    builder = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false")
    session = builder.config("spark.sql.shuffle.partitions", "3").getOrCreate()
    yield session
    session.stop()


def test_spark_predicts_what_one_process_predicts(session, tmp_path):
    from pyspark.ml.functions import predict_batch_udf
    from pyspark.sql.types import DataType

    keras.utils.set_random_seed(0)
    layers = keras.layers
    head = [layers.Dense(8, "relu"), layers.Dropout(0.5), layers.Dense(3, "softmax")]
    model = keras.Sequential([keras.Input((5,)), *head])
    model.save(tmp_path / "m.keras")
    x = np.random.default_rng(0).random((40, 5), np.float32)
    wanted = mcdrop.MCDropout(model).predict(x, num_samples=6, seed=3).to_frame()
    table = pd.DataFrame({"example": np.arange(40), "x": x.tolist(), "name": list("ab") * 20})
    table = table.sample(frac=1.0, random_state=0)
    data = session.createDataFrame(table).repartition(3)
    predictor = Predictor(tmp_path / "m.keras", keep=["name"], num_samples=6, seed=3)
    schema = predictor.sql_schema(data.limit(2).toPandas())
    found = data.mapInPandas(predictor.in_pandas, schema).toPandas()
    found = found.sort_values("example").reset_index(drop=True)
    assert found["name"].tolist() == list("ab") * 20
    pd.testing.assert_frame_equal(found[list(wanted)], wanted, rtol=0, atol=1e-6)

    predictor = Predictor(tmp_path / "m.keras", num_samples=6, seed=3)
    schema = predictor.sql_schema(data.select("example", "x").limit(2).toPandas())
    udf = predict_batch_udf(
        lambda: lambda example, x: predictor({"example": example, "x": x}),
        return_type=DataType.fromDDL(schema),
        batch_size=7,
        input_tensor_shapes={1: [5]},
    )
    found = data.select(udf("example", "x").alias("p")).select("p.*").toPandas()
    found = found.sort_values("example").reset_index(drop=True)
    pd.testing.assert_frame_equal(found[list(wanted)], wanted, rtol=0, atol=1e-6)
