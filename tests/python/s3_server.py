"""An S3 server on 127.0.0.1, until standard input ends: its bucket "kitchens" holds the files below a folder.

usage: s3_server.py PORT FOLDER"""

import pathlib
import sys

import boto3
from moto.server import ThreadedMotoServer

port, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
server = ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
server.start()
keys = {"aws_access_key_id": "larder", "aws_secret_access_key": "s3cret", "region_name": "us-east-1"}
s3 = boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", **keys)
s3.create_bucket(Bucket="kitchens")
for file in folder.rglob("*"):
    if file.is_file():
        s3.put_object(Bucket="kitchens", Key=str(file.relative_to(folder)), Body=file.read_bytes())
print("ready", flush=True)
sys.stdin.read()
server.stop()
