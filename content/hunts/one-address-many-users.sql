/*
id = "hunt/one-address-many-users"
catalogue = ["MBX-009"]
title.en = "One new address signs in {users} users"
title.ja = "新しいアドレスから {users} ユーザーがサインイン"
question.en = "Which address, in a country new to them all, signs in several users within a day?"
question.ja = "誰も使ったことのない国のアドレスから、1 日のうちに複数のユーザーがサインインしていませんか。"
hypothesis.en = "A phishing relay passes on the sign-ins of everybody who took the bait."
hypothesis.ja = "フィッシングの中継サーバーが、騙された全員のサインインを取り次いでいます。"
method.en = "Takes users with earlier successful sign-ins, finds the first success (or right password) from each address whose recorded country they never used before, and counts such users by address within a day."
method.ja = "過去に成功サインインのあるユーザーについて、これまで使ったことのない国のアドレスからの最初の成功（または正しいパスワード）を取り出し、アドレスごとに 1 日以内のユーザー数を数えます。"
reading.en = "Several users new at one foreign address within a day were phished together, or travel together: ask one of them. A new office shows many users, one country and stays."
reading.ja = "同じ国外アドレスに複数のユーザーが 1 日以内に現れたなら、まとめて騙されたか、一緒に出張しているかです。誰か一人に確認してください。新しい拠点なら、人数が多く、その後も続きます。"
attack = ["T1566.002", "T1557"]
severity = "high"
stage = "initial_access"
key = ["src_ip"]
entities = [
    { column = "src_ip", kind = "ip", role = "source" },
    { column = "user_name", kind = "user", role = "victim" },
]

[[parameters]]
name = "users_min"
default = 2
reason = "two users who are new at the same foreign address within a day do not happen by chance"

[[parameters]]
name = "history_min"
default = 3
reason = "fewer earlier sign-ins say nothing about where a user is"

[[parameters]]
name = "window_hours"
default = 24
reason = "victims of one wave click within a day"

[[reasons]]
code = "users-new-together"
en = "{users} users were new at this address, in {src_country}, within a day"
ja = "{src_country} のこのアドレスに、1 日以内に {users} ユーザーが初めて現れました"
weight = "points"
*/

WITH good AS (
    SELECT user_name, src_ip, src_country, time, status_id
    FROM auth
    WHERE src_ip IS NOT NULL AND user_name IS NOT NULL AND src_country IS NOT NULL
        AND coalesce(src_asn, 0) NOT IN (8075, 8068, 8069)
        AND time > TIMESTAMP '1971-01-01T00:00:00'
        AND (status_id = 1 OR status_code IN ('50055', '50072', '50074', '50076', '50079', '50125', '50129', '50140', '50144', '50158', '53000', '53001', '53002', '53003', '500121', '65001', '50105'))
),
-- The first time of each user in each country, and the address that it was seen from.
entries AS (
    SELECT user_name, src_country, min(time) AS time FROM good GROUP BY user_name, src_country
),
arrivals AS (
    SELECT DISTINCT e.user_name, g.src_ip, e.time
    FROM entries e
    JOIN good g ON e.user_name = g.user_name AND e.src_country = g.src_country AND e.time = g.time
),
histories AS (
    SELECT a.user_name, a.src_ip, a.time, count(*) AS history
    FROM arrivals a
    JOIN good g ON a.user_name = g.user_name
    WHERE g.status_id = 1 AND g.time < a.time
    GROUP BY a.user_name, a.src_ip, a.time
),
newcomers AS (
    SELECT user_name, src_ip, time FROM histories WHERE history >= {{history_min}}
),
waves AS (
    SELECT a.src_ip, a.time AS wave_time, count(DISTINCT b.user_name) AS users
    FROM newcomers a
    JOIN newcomers b ON a.src_ip = b.src_ip AND b.time >= a.time AND b.time <= a.time + INTERVAL '{{window_hours}} hours'
    GROUP BY a.src_ip, a.time
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY src_ip ORDER BY users DESC, wave_time) AS worst
    FROM waves
    WHERE users >= {{users_min}}
),
numbered AS (
    SELECT g.*, r.users, row_number() OVER (PARTITION BY g.src_ip ORDER BY g.time, g.event_uid) AS place,
        count(*) OVER (PARTITION BY g.src_ip) AS records
    FROM ranked r
    JOIN newcomers n ON r.src_ip = n.src_ip
    JOIN auth g ON n.src_ip = g.src_ip AND n.user_name = g.user_name
    WHERE r.worst = 1 AND g.time >= r.wave_time AND g.time <= r.wave_time + INTERVAL '{{window_hours}} hours'
)
SELECT event_uid, time, 'auth' AS "table", source_path, source_record, concat_ws(' · ', api_operation, user_name, ip_text(src_ip), status_code) AS fact,
    src_ip, user_name, src_country, users, records, 6 AS points
FROM numbered
WHERE place <= 50
ORDER BY src_ip, place
