"""Counts the records of a topic by their key with Pathway, and prints how many it counted, under how many keys.

pathway_count.py BROKERS TOPIC
"""
import sys

import pathway as pw

brokers, topic = sys.argv[1:]
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
print(sum(held.values()), len(held))
