"""Reads, deduplicates and filters the same export with DuckDB: what a plain engine needs before anything is judged."""

import pathlib
import sys

import duckdb

evidence = pathlib.Path(sys.argv[1])
connection = duckdb.connect()
connection.execute(f"SET threads TO {int(sys.argv[2])}")

AUDIT = """
    SELECT count(*) FILTER (operation = 'MailItemsAccessed'), count(*)
    FROM (
        SELECT DISTINCT ON (id) id, operation
        FROM (
            SELECT json_extract_string(AuditData, '$.Id') AS id, json_extract_string(AuditData, '$.Operation') AS operation
            FROM read_csv(?, all_varchar = true, header = true, max_line_size = 67108864)
        )
    )
"""
SIGN_INS = """
    SELECT count(*) FILTER (code <> '0'), count(*)
    FROM (
        SELECT DISTINCT ON (id) id, code
        FROM (
            SELECT json_extract_string(json, '$.id') AS id, json_extract_string(json, '$.status.errorCode') AS code
            FROM read_json_objects(?, format = 'array', maximum_object_size = 67108864)
        )
    )
"""
TRACE = """
    SELECT count(*)
    FROM (SELECT DISTINCT * FROM read_csv(?, all_varchar = true, header = true))
"""

told = []
for pattern, question in [
    ("audit/*.csv", AUDIT),
    ("entra/*SignInLogs.json", SIGN_INS),
    ("exchange/MessageTrace.csv", TRACE),
]:
    files = [str(path) for path in sorted(evidence.glob(pattern))]
    if files:
        told.append((pattern, connection.execute(question, [files]).fetchone()))
print(told, file=sys.stderr)
