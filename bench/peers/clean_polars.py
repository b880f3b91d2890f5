"""The same cleaning as clean_pandas.py with Polars.

usage: clean_polars.py BRONZE_TABLE OUT.parquet
"""
import io
import json
import sys
import time

import polars as pl
from deltalake import DeltaTable

from sensors import SENSORS


def main(bronze, out):
    began = time.perf_counter()
    files = DeltaTable(bronze).file_uris()
    shape = pl.Struct({"machine_id": pl.String, "timestamp": pl.String, **{s: pl.Float64 for s in SENSORS},
                       "sensor": pl.String, "value": pl.Float64})
    payload = pl.col("payload").str.replace_all('"NaN"', "null", literal=True).str.json_decode(shape)
    df = (pl.scan_parquet(files).filter(pl.col("type") == "reading")
          .select("partition", "offset", "index", "arrival_time", payload.alias("p")).unnest("p")
          .with_columns(pl.col("timestamp").str.to_datetime("%+", time_unit="us", time_zone="UTC").dt.truncate("1ms")))
    df = df.with_columns([pl.when(pl.col("sensor") == s).then(pl.col("value")).otherwise(pl.col(s)).alias(s) for s in SENSORS])
    age = pl.col("arrival_time").dt.replace_time_zone("UTC") - pl.col("timestamp")
    if df.collect_schema()["arrival_time"].time_zone is not None:
        age = pl.col("arrival_time") - pl.col("timestamp")
    df = df.filter((age >= pl.duration(minutes=-5)) & (age <= pl.duration(hours=24)))
    values, flags = [], []
    for name, (low, high, decimals, how) in SENSORS.items():
        outside = (pl.col(name) < low) | (pl.col(name) > high)
        flags.append(outside.cast(pl.Int8).alias(name + "_flag"))
        value = pl.col(name).clip(low, high) if how == "clip" else pl.when(outside).then(None).otherwise(pl.col(name))
        values.append(value.round(decimals, mode="half_to_even").alias(name))
    names = list(SENSORS)
    order = pl.struct("partition", "offset", "index")
    silver = (df.with_columns(values + flags).sort("partition", "offset", "index")
              .group_by("machine_id", "timestamp", maintain_order=True)
              .agg([pl.col(n).drop_nulls().first() for n in names] + [pl.col(n + "_flag").first() for n in names])
              .filter(pl.any_horizontal([pl.col(n).is_not_null() for n in names]))
              .sort("machine_id", "timestamp").collect())
    silver.write_parquet(out, compression="zstd")
    print(json.dumps({"rows": len(silver), "seconds": time.perf_counter() - began}))


main(*sys.argv[1:])
