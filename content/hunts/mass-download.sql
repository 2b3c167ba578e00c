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

WITH shifted AS (
    SELECT a.user_name, a.src_ip, a.user_agent, a.object_name, a.api_operation, a.event_uid, a.time, a.source_path, a.source_record,
        s.shift, floor((date_part('epoch', a.time) / 60 + s.shift * {{window_minutes}} / 2.0) / {{window_minutes}}) AS bin
    FROM saas a CROSS JOIN (VALUES (0), (1)) AS s(shift)
    WHERE a.api_operation IN ('FileDownloaded', 'FileSyncDownloadedFull') AND a.user_name IS NOT NULL
        AND a.object_name IS NOT NULL AND a.time > TIMESTAMP '1971-01-01T00:00:00'
),
windows AS (
    SELECT user_name, src_ip, shift, bin, count(DISTINCT object_name) AS files, count(*) AS records,
        max(CASE WHEN user_agent ILIKE '%rclone%' OR user_agent ILIKE '%python%' OR user_agent ILIKE '%powershell%' OR user_agent ILIKE '%curl/%' THEN 2 ELSE 0 END) AS script_points,
        min(CASE WHEN user_agent ILIKE '%OneDriveMpc%' OR user_agent ILIKE 'Microsoft SkyDriveSync%' THEN -2 ELSE 0 END) AS sync_points
    FROM shifted
    GROUP BY user_name, src_ip, shift, bin
    HAVING count(DISTINCT object_name) >= {{files_min}}
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY user_name, src_ip ORDER BY files DESC, shift, bin) AS worst
    FROM windows
),
numbered AS (
    SELECT s.*, r.files, r.records, r.script_points, r.sync_points,
        row_number() OVER (PARTITION BY s.user_name, s.src_ip ORDER BY s.time, s.event_uid) AS place
    FROM shifted s
    JOIN ranked r ON s.user_name = r.user_name AND (s.src_ip = r.src_ip OR (s.src_ip IS NULL AND r.src_ip IS NULL))
        AND s.shift = r.shift AND s.bin = r.bin
    WHERE r.worst = 1
)
SELECT event_uid, time, 'saas' AS "table", source_path, source_record,
    concat_ws(' · ', api_operation, user_name, ip_text(src_ip), object_name) AS fact,
    user_name, src_ip, user_agent, files, records, script_points, sync_points,
    CASE WHEN script_points > 0 THEN 'high' WHEN sync_points < 0 THEN 'low' ELSE 'medium' END AS severity
FROM numbered
WHERE place <= 50
ORDER BY user_name, src_ip, place
