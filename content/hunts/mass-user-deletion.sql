/*
id = "hunt/mass-user-deletion"
catalogue = []
title.en = "{actor} deleted {users} accounts within an hour"
title.ja = "{actor} が 1 時間以内に {users} アカウントを削除"
question.en = "Who deletes many accounts in a short time?"
question.ja = "短時間に多くのアカウントを削除しているのは誰ですか。"
hypothesis.en = "An intruder locks the organisation out, or removes the accounts that he used."
hypothesis.ja = "攻撃者が組織を締め出している、または自分が使ったアカウントを消しています。"
method.en = "Counts the accounts that one actor deleted, disabled or whose password he reset, within a window from each such change."
method.ja = "一人の操作者が削除・無効化・パスワード リセットしたアカウントを、各操作から一定時間の枠で数えます。"
reading.en = "The end of a school year or a sold branch looks the same, but comes with a ticket. Deleted accounts can be restored for 30 days."
reading.ja = "学年末や事業売却でも同じように見えますが、その場合は申請があるはずです。削除されたアカウントは 30 日間は復元できます。"
attack = ["T1531"]
severity = "high"
stage = "fraud"
key = ["actor"]
entities = [
    { column = "actor", kind = "user", role = "actor" },
    { column = "target", kind = "user", role = "victim" },
    { column = "src_ip", kind = "ip", role = "source" },
]

[[parameters]]
name = "users_min"
default = 5
reason = "leavers come one by one"

[[parameters]]
name = "window_minutes"
default = 60
reason = "deletion by script takes minutes, by hand an hour"

[[reasons]]
code = "many-accounts"
en = "{users} accounts within an hour"
ja = "1 時間以内に {users} アカウント"
weight = 6.0
*/

WITH changes AS (
    SELECT user_name AS actor, lower(coalesce(entity_name, entity_uid)) AS target, src_ip, api_operation, event_uid, time, source_path, source_record
    FROM iam
    WHERE user_name IS NOT NULL AND coalesce(entity_name, entity_uid) IS NOT NULL AND status_id <> 2
        AND time > TIMESTAMP '1971-01-01T00:00:00'
        AND lower(api_operation) IN ('delete user', 'hard delete user', 'disable account', 'remove-mailbox')
),
waves AS (
    SELECT a.actor, a.time AS wave_time, count(DISTINCT b.target) AS users, count(DISTINCT b.event_uid) AS records
    FROM (SELECT DISTINCT actor, time FROM changes) a
    JOIN changes b ON a.actor = b.actor AND b.time >= a.time AND b.time <= a.time + INTERVAL '{{window_minutes}} minutes'
    GROUP BY a.actor, a.time
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY actor ORDER BY users DESC, wave_time) AS worst
    FROM waves
    WHERE users >= {{users_min}}
),
numbered AS (
    SELECT c.*, r.users, r.records, row_number() OVER (PARTITION BY c.actor ORDER BY c.time, c.event_uid) AS place
    FROM ranked r
    JOIN changes c ON r.actor = c.actor
    WHERE r.worst = 1 AND c.time >= r.wave_time AND c.time <= r.wave_time + INTERVAL '{{window_minutes}} minutes'
)
SELECT event_uid, time, 'iam' AS "table", source_path, source_record,
    concat_ws(' · ', api_operation, actor, ip_text(src_ip), concat('target=', target)) AS fact,
    actor, target, src_ip, users, records
FROM numbered
WHERE place <= 50
ORDER BY actor, place
