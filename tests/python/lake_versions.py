"""Travels through the versions of a lake with readers of other makers.

Usage: lake_versions.py feeds LAKE          every change feed is the difference of the versions around it
       lake_versions.py remember LAKE FILE  writes what each version of each table holds
       lake_versions.py check LAKE FILE TABLE=OLDEST...
                                            what was remembered of the versions from OLDEST on is held still
       lake_versions.py epochs LAKE         prints, as JSON, what each epoch of the ledger holds: rows by table

Exits 1, and says why, where something is not so.
"""

import collections
import hashlib
import json
import pathlib
import sys

import deltalake
import duckdb
import pyarrow
from duckdb_extensions import import_extension

from plain import plain


def counted(rows):
    return collections.Counter(json.dumps(plain(row), sort_keys=True) for row in rows)


def with_deltalake(path, version):
    return counted(pyarrow.table(deltalake.DeltaTable(path, version=version).to_pyarrow_table()).to_pylist())


def with_duckdb(path, version):
    connection = duckdb.connect()
    connection.execute("LOAD delta; SET TimeZone = 'UTC'")
    return counted(connection.execute(f"SELECT * FROM delta_scan('{path}', version => {version})").to_arrow_table().to_pylist())


def tables(lake):
    return {folder.name: str(folder) for folder in sorted(pathlib.Path(lake).iterdir()) if (folder / "_delta_log").is_dir()}


def newest(path):
    return deltalake.DeltaTable(path).version()


def changes(path, version):
    """What the change feed says that a version did: each row with how many times more it is there."""
    feed = deltalake.DeltaTable(path).load_cdf(starting_version=version, ending_version=version)
    net = collections.Counter()
    for row in pyarrow.table(feed.read_all()).to_pylist():
        change = row.pop("_change_type")
        row.pop("_commit_version")
        row.pop("_commit_timestamp")
        net[json.dumps(plain(row), sort_keys=True)] += {"insert": 1, "delete": -1}[change]
    return {row: times for row, times in net.items() if times}


def difference(after, before):
    rows = {row: after[row] - before[row] for row in after.keys() | before.keys()}
    return {row: times for row, times in rows.items() if times}


def feeds(lake):
    compared = 0
    for table, path in tables(lake).items():
        if deltalake.DeltaTable(path).metadata().configuration.get("delta.enableChangeDataFeed") != "true":
            continue
        before = with_deltalake(path, 0)
        for version in range(1, newest(path) + 1):
            after = with_deltalake(path, version)
            told = changes(path, version)
            if told != difference(after, before):
                sys.exit(f"{table}: the change feed of version {version} is not what changed")
            compared += len(told)
            before = after
    print(f"{compared} changes told as they happened")


def digest(rows):
    return hashlib.sha256(json.dumps(sorted(rows.items())).encode()).hexdigest()


def remember(lake, file):
    held = {}
    for table, path in tables(lake).items():
        held[table] = {version: digest(with_deltalake(path, version)) for version in range(newest(path) + 1)}
    pathlib.Path(file).write_text(json.dumps(held))


def check(lake, file, *oldest):
    import_extension("delta")
    held = json.loads(pathlib.Path(file).read_text())
    first = {table: int(version) for table, version in (argument.split("=") for argument in oldest)}
    paths, compared = tables(lake), 0
    for table, versions in held.items():
        for version, remembered in versions.items():
            if int(version) < first[table]:
                continue
            for read in (with_deltalake, with_duckdb):
                if digest(read(paths[table], int(version))) != remembered:
                    sys.exit(f"{table}: version {version} holds something else to {read.__name__}")
            compared += 1
    print(f"{compared} versions hold what they held")


def epochs(lake):
    ledger = pyarrow.table(deltalake.DeltaTable(str(pathlib.Path(lake) / "epochs")).to_pyarrow_table()).to_pylist()
    paths = tables(lake)
    for row in sorted(ledger, key=lambda row: row["epoch"]):
        read = {of["table"]: sum(with_deltalake(paths[of["table"]], of["version"]).values()) for of in row["tables"]}
        print(json.dumps({"epoch": row["epoch"], "rows": read}))


if __name__ == "__main__":
    {"feeds": feeds, "remember": remember, "check": check, "epochs": epochs}[sys.argv[1]](*sys.argv[2:])
