/*
id = "hunt/mass-download"
catalogue = ["MBX-046"]
title.en = "{user_name} took {files} files within minutes"
title.ja = "{user_name} が数分間に {files} 個のファイルを取得"
question.en = "Who downloads many different files within minutes?"
question.ja = "数分のうちに多くの異なるファイルをダウンロードしているのは誰ですか。"
hypothesis.en = "An intruder copies what the account can reach."
hypothesis.ja = "攻撃者が、アカウントの手が届くものを丸ごと複製しています。"
method.en = "In windows of minutes, taken at two offsets, counts the distinct files that one user downloaded from one address. Scripts weigh more, the synchronising client of OneDrive less."
method.ja = "半分ずらした二通りの数分枠で、1 ユーザーが同じアドレスからダウンロードした異なるファイルを数えます。スクリプトは重く、OneDrive の同期クライアントは軽く評価します。"
reading.en = "A new device that synchronises for the first time looks the same: look whether device and address are the user's own."
reading.ja = "新しい端末の初回同期も同じように見えます。端末とアドレスが本人のものか確認してください。"
attack = ["T1530", "T1213.002"]
severity = "medium"
stage = "collection"
key = ["user_name", "src_ip"]
entities = [
    { column = "user_name", kind = "user", role = "actor" },
    { column = "src_ip", kind = "ip", role = "source" },
    { column = "user_agent", kind = "user_agent", role = "source" },
]

[[parameters]]
name = "files_min"
default = 25
reason = "the catalogue: people open files one by one"

[[parameters]]
name = "window_minutes"
default = 3
reason = "short enough that browsing does not add up"

[[reasons]]
code = "many-files"
en = "{files} different files within minutes"
ja = "数分間に {files} 個の異なるファイル"
weight = 4.0

[[reasons]]
code = "by-script"
en = "by a script or copying tool: {user_agent}"
ja = "スクリプトまたはコピー ツールによる取得：{user_agent}"
weight = "script_points"

[[reasons]]
code = "by-sync-client"
en = "by the synchronising client"
ja = "同期クライアントによる取得"
weight = "sync_points"
*/

-- Counting distinct files costs memory for every group: first the few windows that can matter, then their rows.
WITH downloads AS (
    SELECT a.user_name, a.src_ip, a.user_agent, a.object_name, a.time,
        s.shift, floor((date_part('epoch', a.time) / 60 + s.shift * {{window_minutes}} / 2.0) / {{window_minutes}}) AS bin
    FROM saas a CROSS JOIN (VALUES (0), (1)) AS s(shift)
    WHERE a.api_operation IN ('FileDownloaded', 'FileSyncDownloadedFull') AND a.user_name IS NOT NULL
        AND a.object_name IS NOT NULL AND a.time > TIMESTAMP '1971-01-01T00:00:00'
),
busy AS (
    SELECT user_name, src_ip, shift, bin FROM downloads GROUP BY user_name, src_ip, shift, bin HAVING count(*) >= {{files_min}}
),
windows AS (
    SELECT d.user_name, d.src_ip, d.shift, d.bin, count(DISTINCT d.object_name) AS files, count(*) AS records,
        min(d.time) AS first_time, max(d.time) AS last_time,
        max(CASE WHEN d.user_agent ILIKE '%rclone%' OR d.user_agent ILIKE '%python%' OR d.user_agent ILIKE '%powershell%' OR d.user_agent ILIKE '%curl/%' THEN 2 ELSE 0 END) AS script_points,
        min(CASE WHEN d.user_agent ILIKE '%OneDriveMpc%' OR d.user_agent ILIKE 'Microsoft SkyDriveSync%' THEN -2 ELSE 0 END) AS sync_points
    FROM busy b
    JOIN downloads d ON b.user_name = d.user_name AND b.shift = d.shift AND b.bin = d.bin AND b.src_ip IS NOT DISTINCT FROM d.src_ip
    GROUP BY d.user_name, d.src_ip, d.shift, d.bin
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY user_name, src_ip ORDER BY files DESC, shift, bin) AS worst
    FROM windows
    WHERE files >= {{files_min}}
),
numbered AS (
    SELECT a.*, r.files, r.records, r.script_points, r.sync_points,
        row_number() OVER (PARTITION BY a.user_name, a.src_ip ORDER BY a.time, a.event_uid) AS place
    FROM ranked r
    JOIN saas a ON r.user_name = a.user_name AND r.src_ip IS NOT DISTINCT FROM a.src_ip
    WHERE r.worst = 1 AND a.time >= r.first_time AND a.time <= r.last_time AND a.object_name IS NOT NULL
        AND a.api_operation IN ('FileDownloaded', 'FileSyncDownloadedFull')
)
SELECT event_uid, time, 'saas' AS "table", source_path, source_record,
    concat_ws(' · ', api_operation, user_name, ip_text(src_ip), object_name) AS fact,
    user_name, src_ip, user_agent, files, records, script_points, sync_points,
    CASE WHEN script_points > 0 THEN 'high' WHEN sync_points < 0 THEN 'low' ELSE 'medium' END AS severity
FROM numbered
WHERE place <= 50
ORDER BY user_name, src_ip, place
