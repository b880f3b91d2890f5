"""Bronze to silver as a data scientist writes it with pandas: read the bronze
files, parse the payloads with Arrow's JSON reader (C++, all cores), give each
reading its fate, clip, round, flag, merge, write Parquet.

usage: clean_pandas.py BRONZE_TABLE OUT.parquet
"""
import io
import json
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import pyarrow.json
import pyarrow.parquet
from deltalake import DeltaTable

from sensors import SENSORS


def main(bronze, out):
    began = time.perf_counter()
    table = DeltaTable(bronze).to_pyarrow_table(
        columns=["partition", "offset", "index", "type", "arrival_time", "payload"])
    table = table.filter(pa.compute.equal(table["type"], "reading"))
    text = b"\n".join(memoryview(b.as_buffer()) for b in table["payload"]).replace(b'"NaN"', b"null")
    schema = pa.schema([("machine_id", pa.string()), ("timestamp", pa.timestamp("us", tz="UTC"))]
                       + [(s, pa.float64()) for s in SENSORS] + [("sensor", pa.string()), ("value", pa.float64())])
    options = pa.json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore")
    parsed = pa.json.read_json(io.BytesIO(text), parse_options=options)
    df = parsed.to_pandas()
    for column in ("partition", "offset", "index", "arrival_time"):
        df[column] = table[column].to_pandas().values
    del table, text, parsed
    df["arrival_time"] = pd.to_datetime(df["arrival_time"], utc=True)
    df["timestamp"] = df["timestamp"].dt.floor("ms")
    single = df["sensor"].notna()
    for name in SENSORS:
        mask = single & (df["sensor"] == name)
        df.loc[mask, name] = df.loc[mask, "value"]
    age = df["arrival_time"] - df["timestamp"]
    future, late = age < pd.Timedelta(minutes=-5), age > pd.Timedelta(hours=24)
    df = df[~future & ~late].sort_values(["partition", "offset", "index"])
    for name, (low, high, decimals, how) in SENSORS.items():
        outside = (df[name] < low) | (df[name] > high)
        df[name + "_flag"] = outside.astype(np.int8)
        df[name] = df[name].clip(low, high).round(decimals) if how == "clip" else df[name].mask(outside).round(decimals)
    names = list(SENSORS)
    silver = df.groupby(["machine_id", "timestamp"], sort=True)[names + [n + "_flag" for n in names]].first().reset_index()
    silver = silver.dropna(subset=names, how="all")
    silver.to_parquet(out, engine="pyarrow", compression="zstd", index=False)
    seconds = time.perf_counter() - began
    print(json.dumps({"rows": len(silver), "seconds": seconds}))


main(*sys.argv[1:])
