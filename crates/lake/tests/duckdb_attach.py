"""Attaches a lake in DuckDB and prints what it finds as JSON.

usage: duckdb_attach.py PACKAGES LAKE tables|read|travel|append IDENTITY
"""

import glob
import json
import sys

packages, lake, mode, identity = sys.argv[1:]
sys.path.insert(0, packages)
import duckdb  # noqa: E402  the packages lie in a folder of the build

READ = """
SELECT count(*) AS count, sum(source_record) AS records, sum(item_count) AS items,
       sum(len(message_uids)) AS messages, sum(len(folders)) AS folders,
       (SELECT count(*) FROM l.saas WHERE user_name = 'user3@example.org') AS user3,
       (SELECT count(*) FROM l.saas WHERE src_ip = unhex('00000000000000000000FFFFC0000264')) AS address,
       (SELECT count(*) FROM l.saas WHERE src_ip >= unhex('20010DB8000000000000000000000000')
                                      AND src_ip <= unhex('20010DB8FFFFFFFFFFFFFFFFFFFFFFFF')) AS ipv6,
       (SELECT count(*) FROM l.saas WHERE time >= '2024-03-03T00:00:00Z' AND time < '2024-03-04T00:00:00Z') AS day,
       (SELECT count(*) FROM l.saas WHERE is_throttled) AS throttled, sum(strlen(raw)) AS raw_bytes,
       count(DISTINCT event_uid) AS identities, (SELECT count(*) FROM l.auth) AS auth
FROM l.saas
"""


def attach(options):
    connection = duckdb.connect()
    for name in ("sqlite_scanner", "ducklake"):
        pattern = f"{packages}/duckdb_extension_{name}/**/*.duckdb_extension"
        connection.execute(f"LOAD '{glob.glob(pattern, recursive=True)[0]}'")
    connection.execute(f"ATTACH 'ducklake:sqlite:{lake}/catalog.db' AS l ({options})")
    return connection


def one(connection, sql):
    return connection.execute(sql).fetchone()[0]


if mode == "append":
    connection = attach("DATA_INLINING_ROW_LIMIT 0")
    connection.execute(
        "INSERT INTO l.saas (time, event_uid, class_uid, activity_id, status_id, source_record)"
        " SELECT TIMESTAMPTZ '2024-03-02 00:00:00Z', unhex(?), 6005, 0, 0, 1",
        [identity],
    )
    result = one(connection, "SELECT count(*) FROM l.saas")
else:
    connection = attach("READ_ONLY")
    connection.execute("SET TimeZone = 'UTC'")
    if mode == "tables":
        tables = "SELECT table_name FROM duckdb_tables() WHERE database_name = 'l' ORDER BY 1"
        result = [row[0] for row in connection.execute(tables).fetchall()]
    elif mode == "travel":
        snapshots = connection.execute("SELECT snapshot_id FROM ducklake_snapshots('l') ORDER BY 1").fetchall()
        counts = []
        for (snapshot,) in snapshots:
            try:
                counts.append(one(connection, f"SELECT count(*) FROM l.saas AT (VERSION => {snapshot})"))
            except duckdb.CatalogException:
                pass  # before the table was made
        counts = [count for count in counts if count]
        result = [counts[0], counts[-1]]
    else:
        cursor = connection.execute(READ)
        names = [column[0] for column in cursor.description]
        result = {name: int(value) for name, value in zip(names, cursor.fetchone())}

print(json.dumps(result))
