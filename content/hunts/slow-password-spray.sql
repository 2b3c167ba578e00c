/*
id = "hunt/slow-password-spray"
catalogue = ["MBX-001"]
title.en = "Slow password spray from one address: {users} users in a day"
title.ja = "単一アドレスからの低速パスワードスプレー：1 日に {users} ユーザー"
question.en = "Which addresses fail at many accounts, a few times each, within a day?"
question.ja = "1 日のうちに、多くのアカウントで少しずつ失敗しているアドレスはどれですか。"
hypothesis.en = "Somebody tries a few common passwords on many accounts, slowly enough for every lock-out."
hypothesis.ja = "何者かが、ロックアウトを避けながら、よくあるパスワードを多くのアカウントで少しずつ試しています。"
method.en = "In windows of a day, taken at two offsets, counts the users with wrong passwords or unknown names by address, and shows the worst window that lasted longer than an hour. Addresses where most users succeed are left out."
method.ja = "半日ずらした二通りの 1 日枠で、パスワード誤りまたは不明な名前のユーザー数をアドレスごとに数え、1 時間を超えて続いた最悪の枠を示します。大半のユーザーが成功しているアドレスは除きます。"
reading.en = "More users failing than succeeding from one address is a spray; a shared exit after a password change is not. Look at the users who succeeded from it first."
reading.ja = "成功よりも失敗のユーザーが多ければスプレーです。パスワード変更直後の共有回線は別です。まず、そこから成功したユーザーを確認してください。"
attack = ["T1110.003"]
severity = "medium"
stage = "credential_acquisition"
key = ["src_ip"]
entities = [
    { column = "src_ip", kind = "ip", role = "source" },
    { column = "user_name", kind = "user", role = "target" },
]

[[parameters]]
name = "users_min"
default = 8
reason = "the catalogue: eight users a day from one place do not mistype by chance"

[[parameters]]
name = "fails_per_user_max"
default = 10
reason = "more failures a user are brute force, another finding"

[[parameters]]
name = "window_minutes"
default = 1440
reason = "a day outlasts lock-out counters"

[[parameters]]
name = "users_high"
default = 10
reason = "from ten users on it is high"

[[parameters]]
name = "spread_minutes_min"
default = 60
reason = "what is done within an hour is the fast spray, another finding"

[[reasons]]
code = "many-users-fail"
en = "{users} users failed, {fails_per_user} tries each, {succeeded} users succeeded"
ja = "{users} ユーザーが失敗（1 人あたり {fails_per_user} 回）、成功は {succeeded} ユーザー"
weight = "points"
*/

-- Counting distinct users costs memory for every group: first the few addresses that can matter, then their rows.
WITH doubtful AS (
    SELECT src_ip
    FROM auth
    WHERE src_ip IS NOT NULL AND user_name IS NOT NULL AND status_code IN ('50126', '50056', '50064', '120000', '50034', '50059')
    GROUP BY src_ip
    HAVING count(*) >= {{users_min}} AND min(user_name) < max(user_name)
),
shifted AS (
    SELECT a.src_ip, a.user_name, a.status_id, a.time,
        s.shift, floor((date_part('epoch', a.time) / 60 + s.shift * {{window_minutes}} / 2) / {{window_minutes}}) AS bin,
        CASE WHEN a.status_code IN ('50126', '50056', '50064', '120000', '50034', '50059') THEN 1 ELSE 0 END AS is_wrong
    FROM doubtful d
    JOIN auth a ON d.src_ip = a.src_ip
    CROSS JOIN (VALUES (0), (1)) AS s(shift)
    WHERE a.user_name IS NOT NULL AND (a.status_id = 1 OR a.status_code IN ('50126', '50056', '50064', '120000', '50034', '50059'))
),
windows AS (
    SELECT src_ip, shift, bin,
        count(DISTINCT CASE WHEN is_wrong = 1 THEN user_name END) AS users,
        count(DISTINCT CASE WHEN status_id = 1 THEN user_name END) AS succeeded,
        sum(is_wrong) AS fails,
        min(CASE WHEN is_wrong = 1 THEN time END) AS first_time, max(CASE WHEN is_wrong = 1 THEN time END) AS last_time
    FROM shifted
    GROUP BY src_ip, shift, bin
),
ranked AS (
    SELECT *, round(CAST(fails AS DOUBLE) / users, 1) AS fails_per_user,
        row_number() OVER (PARTITION BY src_ip ORDER BY users DESC, shift, bin) AS worst
    FROM windows
    WHERE users >= {{users_min}} AND users > succeeded AND fails <= users * {{fails_per_user_max}}
        AND date_part('epoch', last_time) - date_part('epoch', first_time) > {{spread_minutes_min}} * 60
),
numbered AS (
    SELECT a.*, r.users, r.succeeded, r.fails, r.fails_per_user,
        row_number() OVER (PARTITION BY a.src_ip ORDER BY a.time, a.event_uid) AS place
    FROM ranked r
    JOIN auth a ON r.src_ip = a.src_ip
    WHERE r.worst = 1 AND a.time >= r.first_time AND a.time <= r.last_time AND a.user_name IS NOT NULL
        AND a.status_code IN ('50126', '50056', '50064', '120000', '50034', '50059')
)
SELECT event_uid, time, 'auth' AS "table", source_path, source_record, concat_ws(' · ', api_operation, user_name, ip_text(src_ip), status_code) AS fact,
    src_ip, user_name, users, succeeded, fails_per_user, fails AS records,
    CASE WHEN users >= {{users_high}} THEN 'high' ELSE 'medium' END AS severity,
    CASE WHEN users >= {{users_high}} THEN 6 ELSE 4 END AS points
FROM numbered
WHERE place <= 50
ORDER BY src_ip, place
