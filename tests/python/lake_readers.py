"""Reads a lake with the readers of other makers, and says where one differs from what is expected.

Usage: lake_readers.py LAKE EXPECTED [LARDER_QUERY]

EXPECTED holds one plain Parquet file a table. Prints one line a table and reader; exits 1 if any differs.
"""

import datetime
import decimal
import json
import pathlib
import subprocess
import sys

import deltalake
import duckdb
import polars
import pyarrow
import pyarrow.parquet
from duckdb_extensions import import_extension

from plain import plain


def multiset(rows):
    return sorted(json.dumps(plain(row), sort_keys=True) for row in rows)


def with_deltalake(path):
    return pyarrow.table(deltalake.DeltaTable(path).to_pyarrow_table()).to_pylist()


def with_polars(path):
    return polars.read_delta(path).to_arrow().to_pylist()


def with_duckdb(path):
    import_extension("delta")
    connection = duckdb.connect()
    connection.execute("LOAD delta; SET TimeZone = 'UTC'")
    result = connection.execute("SELECT * FROM delta_scan(?)", [path])
    return result.to_arrow_table().to_pylist()


def with_larder_query(program, lake, table, schema):
    command = [program, "--lake", lake, "--json", f"SELECT * FROM {table}"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [typed(json.loads(line, parse_float=decimal.Decimal), schema) for line in lines]


def typed(row, schema):
    """A row of JSON with the types that its columns have in the table."""
    return {name: as_type(value, schema.field(name).type) for name, value in row.items()}


def as_type(value, kind):
    if value is None:
        return None
    if pyarrow.types.is_timestamp(kind):
        return datetime.datetime.fromisoformat(value.replace("Z", "+00:00"))
    if pyarrow.types.is_decimal(kind):
        return decimal.Decimal(value)
    if pyarrow.types.is_list(kind):
        return [as_type(element, kind.value_type) for element in value]
    if pyarrow.types.is_struct(kind):
        return {name: as_type(field, kind.field(name).type) for name, field in value.items()}
    return value


def net_changes(path):
    """The rows that the change feed, from the first version on, adds up to."""
    feed = pyarrow.table(deltalake.DeltaTable(path).load_cdf(starting_version=0).read_all()).to_pylist()
    counts = {}
    for row in feed:
        change = row.pop("_change_type")
        row.pop("_commit_version")
        row.pop("_commit_timestamp")
        key = json.dumps(plain(row), sort_keys=True)
        counts[key] = counts.get(key, 0) + {"insert": 1, "delete": -1}[change]
    return sorted(key for key, count in counts.items() for _ in range(count))


def main(lake, expected, program=None):
    differing = 0
    for file in sorted(pathlib.Path(expected).glob("*.parquet")):
        table, path = file.stem, str(pathlib.Path(lake) / file.stem)
        wanted = pyarrow.parquet.read_table(file)
        rows = multiset(wanted.to_pylist())
        readers = {
            "deltalake": lambda: multiset(with_deltalake(path)),
            "polars": lambda: multiset(with_polars(path)),
            "duckdb": lambda: multiset(with_duckdb(path)),
        }
        if program:
            readers["larder-query"] = lambda: multiset(with_larder_query(program, lake, table, wanted.schema))
        if deltalake.DeltaTable(path).metadata().configuration.get("delta.enableChangeDataFeed") == "true":
            readers["deltalake change feed"] = lambda: net_changes(path)
        for name, read in readers.items():
            held = read()
            same = held == rows
            differing += not same
            print(f"{table}: {name}: {len(held)} rows, {'as expected' if same else f'but {len(rows)} expected'}")
            if not same:
                print("  lacks", sorted(set(rows) - set(held))[:2])
                print("  has", sorted(set(held) - set(rows))[:2])
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
