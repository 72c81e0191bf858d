"""Reads a recording with the official MCAP reader, schemas taken from the file alone, and prints what it saw."""

import collections
import json
import sys

from mcap.reader import make_reader
from mcap_protobuf.decoder import DecoderFactory

with open(sys.argv[1], "rb") as file:
    reader = make_reader(file, validate_crcs=True, decoder_factories=[DecoderFactory()])
    summary = reader.get_summary()
    seen = collections.Counter()
    doors, grams, pictures, skus = [], 0.0, 0, []
    for schema, channel, message, decoded in reader.iter_decoded_messages(log_time_order=False):
        seen[f"{channel.topic} {schema.name}"] += 1
        stamp = decoded.timestamp
        assert stamp.seconds * 10**9 + stamp.nanos == message.log_time == message.publish_time
        if schema.name == "larder.v1.Reading":
            kind = decoded.WhichOneof("value")
            if kind == "door_open":
                doors.append(decoded.door_open)
            elif kind == "grams":
                grams += decoded.grams
        elif schema.name in ("foxglove.CompressedImage", "foxglove.RawImage"):
            pictures += len(decoded.data)
        elif schema.name == "larder.v1.Product":
            skus.append([decoded.sku, decoded.package_grams])
    json.dump(
        {
            "profile": reader.get_header().profile,
            "count": summary.statistics.message_count,
            "seen": seen,
            "doors": doors,
            "grams": round(grams * 1000),
            "picture_bytes": pictures,
            "skus": skus,
            "metadata": {channel.topic: channel.metadata for channel in summary.channels.values()},
        },
        sys.stdout,
    )
