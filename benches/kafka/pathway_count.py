"""Counts the records of a topic by their key with Pathway, until all are counted.

pathway_count.py BROKERS TOPIC RECORDS
"""
import os
import sys

import pathway as pw

brokers, topic, records = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = {
    "bootstrap.servers": brokers,
    "group.id": "pathway",
    "auto.offset.reset": "earliest",
    "session.timeout.ms": "6000",
}
table = pw.io.kafka.read(settings, topic=topic, format="raw", autocommit_duration_ms=1000)
counts = table.groupby(table.key).reduce(table.key, count=pw.reducers.count())
held = {}


def change(key, row, time, is_addition):
    if is_addition:
        held[row["key"]] = row["count"]


def done(time):
    if sum(held.values()) >= records:
        os._exit(0)


pw.io.subscribe(counts, on_change=change, on_time_end=done)
pw.run(monitoring_level=pw.MonitoringLevel.NONE)
