"""Reads one table from two files, Parquet with pyarrow and CSV with Python's own reader, and compares every cell."""

import csv
import datetime
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def nanos(text):
    """RFC 3339 with nanoseconds as nanoseconds since 1970."""
    whole, rest = text[:-1].split(".")
    seconds = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return int(seconds.timestamp()) * 1_000_000_000 + int(rest)


def cell(text, kind):
    if text == "":
        return None
    if pa.types.is_timestamp(kind):
        return nanos(text)
    if pa.types.is_boolean(kind):
        return {"true": True, "false": False}[text]
    return int(text) if pa.types.is_integer(kind) else text.removeprefix("'")


table = pq.read_table(sys.argv[1])
schema = table.schema
for place, field in enumerate(schema):
    if pa.types.is_timestamp(field.type):
        assert (field.type.unit, field.type.tz) == ("ns", "UTC"), field
        table = table.set_column(place, field.name, table.column(place).cast(pa.int64()))
with open(sys.argv[2], newline="", encoding="utf-8") as file:
    names, *rows = csv.reader(file)
assert names == schema.names, (names, schema.names)
assert len(rows) == table.num_rows, (len(rows), table.num_rows)
for number, (row, read) in enumerate(zip(rows, table.to_pylist())):
    expected = [cell(text, field.type) for text, field in zip(row, schema)]
    assert expected == list(read.values()), (number, expected, read)
print(table.num_rows, pq.ParquetFile(sys.argv[1]).num_row_groups)
