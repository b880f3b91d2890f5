"""Compares our silver with a peer's: the same (machine, time) rows, and every
value equal. Exits 1 and says where they differ.

usage: same_silver.py SILVER_TABLE PEER.parquet
"""
import json
import sys

import pandas as pd
from deltalake import DeltaTable

from sensors import SENSORS


def main(silver, peer):
    names = list(SENSORS)
    ours = DeltaTable(silver).to_pyarrow_table().to_pandas()
    ours = ours.rename(columns={"machine": "machine_id", "event_time": "timestamp"})
    ours = ours.sort_values(["epoch", "partition", "offset", "index"])
    ours[names] = ours[names].astype(float)
    ours["timestamp"] = pd.to_datetime(ours["timestamp"], utc=True)
    ours = ours.groupby(["machine_id", "timestamp"])[names].first()
    theirs = pd.read_parquet(peer)
    theirs["timestamp"] = pd.to_datetime(theirs["timestamp"], utc=True)
    theirs = theirs.set_index(["machine_id", "timestamp"])[names].sort_index()
    ours = ours.sort_index()
    missing, more = ours.index.difference(theirs.index), theirs.index.difference(ours.index)
    if len(missing) or len(more):
        sys.exit(f"rows of ours that the peer lacks: {len(missing)} {list(missing[:3])}; more: {len(more)} {list(more[:3])}")
    for name in names:
        a, b = ours[name], theirs[name]
        unequal = ~((a - b).abs() < 1e-9) & ~(a.isna() & b.isna())
        if unequal.any():
            sys.exit(f"{name}: {unequal.sum()} values differ, first\n{pd.DataFrame({'ours': a[unequal], 'peer': b[unequal]}).head()}")
    print(json.dumps({"rows": len(ours), "seconds": 0}))


main(*sys.argv[1:])
