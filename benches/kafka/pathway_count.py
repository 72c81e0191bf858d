"""Counts the records of a topic by their key with Pathway, and says so where it counts another number than it should.

pathway_count.py BROKERS TOPIC RECORDS
"""
import sys

import pathway as pw

brokers, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = {
    "bootstrap.servers": brokers,
    "group.id": "pathway",
    "auto.offset.reset": "earliest",
    "session.timeout.ms": "6000",
}
table = pw.io.kafka.read(settings, topic=topic, format="raw", mode="static", autogenerate_key=True)
counts = table.groupby(pw.this.key).reduce(pw.this.key, count=pw.reducers.count())
held = {}


def change(key, row, time, is_addition):
    if is_addition:
        held[row["key"]] = row["count"]


pw.io.subscribe(counts, on_change=change)
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
if sum(held.values()) != records:
    sys.exit(f"counted {sum(held.values())} of {records}")
