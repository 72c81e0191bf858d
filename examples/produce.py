#!/usr/bin/env python3
"""An appliance that is not Larder's: sends a visit, what the scale says, a product and a receipt to Kafka.

    pip install confluent-kafka grpcio-tools
    examples/produce.py 127.0.0.1:9092 kitchens

Messages are those of records/proto/larder/v1; frame.proto says all that a producer of frames needs. Records are keyed by
their appliance, so that those of one appliance come in order; what is no frame names its message in the header `schema`.
"""

import importlib.resources
import pathlib
import sys
import tempfile

from confluent_kafka import Producer
from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parent.parent / "records" / "proto"


def messages():
    """The modules of frame.proto and household.proto. A program of one's own would compile them once, with protoc."""
    out = tempfile.mkdtemp()
    wellknown = importlib.resources.files("grpc_tools") / "_proto"
    files = [str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto")]
    if protoc.main(["protoc", f"-I{PROTO}", f"-I{wellknown}", f"--python_out={out}", *files]) != 0:
        sys.exit("the messages could not be compiled")
    sys.path.insert(0, out)
    from larder.v1 import frame_pb2, household_pb2

    return frame_pb2, household_pb2


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: produce.py BROKERS TOPIC")
    brokers, topic = sys.argv[1:]
    frame_pb2, household_pb2 = messages()
    appliance, start = "kitchen-7/fridge", 1_772_000_000
    records = []

    def reading(second, sensor, **value):
        frame = frame_pb2.Frame(appliance=appliance, sensor=sensor)
        frame.reading.timestamp.seconds = start + second
        for name, what in value.items():
            setattr(frame.reading, name, what)
        records.append((appliance, second, frame, None))

    reading(0, "scale", grams=5_210.5)
    reading(10, "door", door_open=True)
    reading(25, "door", door_open=False)
    reading(30, "scale", grams=6_240.5)

    milk = household_pb2.Product(sku="milk-1l", name="Milk", category="dairy/milk", package_grams=1030, shelf_life_days=7)
    milk.timestamp.seconds = start
    records.append((milk.sku, 0, milk, "larder.v1.Product"))

    bought = household_pb2.DeclaredMovement(id="receipt-1-1", source="receipts", sku=milk.sku, quantity=1, cents=129)
    bought.reason = household_pb2.DeclaredMovement.REASON_BOUGHT
    bought.timestamp.seconds = start + 20
    records.append((appliance, 20, bought, "larder.v1.DeclaredMovement"))

    failures = []
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True, "compression.type": "zstd"})
    for key, second, message, schema in records:
        producer.produce(
            topic,
            key=key,
            value=message.SerializeToString(),
            timestamp=(start + second) * 1000,
            headers=[("schema", schema)] if schema else None,
            on_delivery=lambda error, _: failures.append(error) if error else None,
        )
    left = producer.flush(30)
    if failures or left:
        sys.exit(f"{left} records were not taken: {failures}")
    print(f"{len(records)} records sent to {topic}")


if __name__ == "__main__":
    main()
