"""Sends lines of JSON by official clients: the first third as bulk requests, the second to an HTTP Event Collector,
the rest as log records of OTLP. To be run as `push.py CA TOKEN ELASTICSEARCH HEC OTLP < LINES`; the last three are ports."""

import json
import logging
import os
import sys

ca, token = sys.argv[1], sys.argv[2]
elasticsearch_port, hec_port, otlp_port = (int(port) for port in sys.argv[3:6])
lines = [line.strip() for line in sys.stdin if line.strip()]
third = len(lines) // 3


def bulk(lines):
    from elasticsearch import Elasticsearch, helpers

    for show in ({"basic_auth": ("elastic", token)}, {"api_key": ("id", token)}):
        client = Elasticsearch(f"https://localhost:{elasticsearch_port}", ca_certs=ca, **show)
        assert client.info()["version"]["number"] == "8.17.0"
        assert client.ping() and client.cluster.health()["status"] == "green"
        half = lines[: len(lines) // 2] if "basic_auth" in show else lines[len(lines) // 2 :]
        actions = ({"_op_type": "create", "_index": "logs-demo", "_source": json.loads(line)} for line in half)
        taken, failed = helpers.bulk(client, actions, chunk_size=100, raise_on_error=False)
        assert (taken, failed) == (len(half), []), (taken, failed)
    # What is no event is told of the item, and the others are taken.
    actions = [{"_op_type": "delete", "_index": "logs-demo", "_id": "1"}, {"_index": "logs-demo", "_source": json.loads(lines[0])}]
    taken, failed = helpers.bulk(client, actions, raise_on_error=False)
    assert taken == 1 and failed[0]["delete"]["status"] == 400, (taken, failed)
    assert client.index(index="logs-demo", document=json.loads(lines[0]))["result"] == "created"


def hec(lines):
    import splunk_handler

    handler = splunk_handler.SplunkHandler(
        "localhost", hec_port, token, "main", sourcetype="demo:idp", verify=ca, queue_size=0, flush_interval=600
    )
    logger = logging.getLogger("demo")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(handler)
    for at, line in enumerate(lines):
        logger.info(line)
        if at % 100 == 99:
            splunk_handler.force_flush()
    splunk_handler.force_flush()


def otlp(lines):
    from opentelemetry._logs import LogRecord, SeverityNumber
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExportResult
    from opentelemetry.sdk.resources import Resource

    results = []

    class Exporter(OTLPLogExporter):
        def export(self, batch):
            results.append(super().export(batch))
            return results[-1]

    exporter = Exporter(
        endpoint=f"https://localhost:{otlp_port}/v1/logs",
        certificate_file=ca,
        headers={"Authorization": f"Bearer {token}"},
        compression=Compression.Gzip,
    )
    provider = LoggerProvider(resource=Resource.create({"service.name": "demo"}))
    provider.add_log_record_processor(
        BatchLogRecordProcessor(exporter, max_queue_size=len(lines), max_export_batch_size=100)
    )
    logger = provider.get_logger("demo", "1.0")
    for at, line in enumerate(lines):
        # A text that holds an object, and a map.
        body = line if at % 2 else json.loads(line)
        logger.emit(LogRecord(body=body, severity_number=SeverityNumber.INFO, attributes={"at": at}))
    assert provider.force_flush()
    provider.shutdown()
    assert results and all(result == LogRecordExportResult.SUCCESS for result in results), results


os.environ["NO_PROXY"] = "localhost"
# What the environment trusts would go before what is named here.
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)
bulk(lines[:third])
hec(lines[third : 2 * third])
otlp(lines[2 * third :])
print("sent")
