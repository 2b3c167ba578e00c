/*
id = "hunt/many-applications-burst"
catalogue = ["MBX-020"]
title.en = "{user_name} is tried against {apps} applications with {agents} clients in minutes"
title.ja = "{user_name} が数分間に {apps} アプリ・{agents} 種のクライアントで試行されています"
question.en = "Which account is used with many applications and many clients within minutes?"
question.ja = "数分のうちに、多くのアプリと多くのクライアントで使われたアカウントはどれですか。"
hypothesis.en = "Somebody holds a password and looks for the application that asks for no second factor."
hypothesis.ja = "何者かがパスワードを入手し、多要素認証を求めないアプリを探しています。"
method.en = "In windows of minutes, taken at two offsets, counts sign-in attempts, applications and user agents of one user from one address."
method.ja = "半分ずらした二通りの数分枠で、同じアドレスからの 1 ユーザーのサインイン試行、アプリ、ユーザー エージェントを数えます。"
reading.en = "People do not change between phones, computers and browsers within minutes from one address: the password is known to somebody else. Reset it and look for the application that let them in."
reading.ja = "人は数分のうちに、同じアドレスから電話・PC・ブラウザーを次々と持ち替えません。パスワードは他人に知られています。リセットし、侵入を許したアプリを探してください。"
attack = ["T1078.004", "T1526"]
severity = "high"
stage = "initial_access"
key = ["user_name", "src_ip"]
entities = [
    { column = "user_name", kind = "user", role = "victim" },
    { column = "src_ip", kind = "ip", role = "source" },
]

[[parameters]]
name = "attempts_min"
default = 5
reason = "the catalogue: a sweep tries at least five doors"

[[parameters]]
name = "applications_min"
default = 3
reason = "a browser start touches one or two"

[[parameters]]
name = "agents_min"
default = 4
reason = "one person has two or three clients"

[[parameters]]
name = "window_minutes"
default = 5
reason = "a sweep runs for a minute or two"

[[reasons]]
code = "sweep"
en = "{attempts} attempts, {apps} applications, {agents} user agents within minutes"
ja = "数分間に {attempts} 回の試行、{apps} アプリ、{agents} 種のユーザー エージェント"
weight = 6.0
*/

-- Counting distinct texts costs memory for every group: first the few windows that can matter, then their rows.
WITH attempts AS (
    SELECT a.user_name, a.src_ip, a.user_agent, coalesce(a.app_uid, a.app_name) AS app,
        s.shift, floor((date_part('epoch', a.time) / 60 + s.shift * {{window_minutes}} / 2.0) / {{window_minutes}}) AS bin,
        a.event_uid, a.time
    FROM auth a CROSS JOIN (VALUES (0), (1)) AS s(shift)
    WHERE a.user_name IS NOT NULL AND a.src_ip IS NOT NULL AND a.time > TIMESTAMP '1971-01-01T00:00:00'
),
busy AS (
    SELECT user_name, src_ip, shift, bin FROM attempts GROUP BY user_name, src_ip, shift, bin HAVING count(*) >= {{attempts_min}}
),
agents AS (
    SELECT DISTINCT a.user_name, a.src_ip, a.shift, a.bin, a.user_agent
    FROM busy b
    JOIN attempts a ON b.user_name = a.user_name AND b.src_ip = a.src_ip AND b.shift = a.shift AND b.bin = a.bin
    WHERE a.user_agent IS NOT NULL
),
sweeps AS (
    SELECT user_name, src_ip, shift, bin FROM agents GROUP BY user_name, src_ip, shift, bin HAVING count(*) >= {{agents_min}}
),
windows AS (
    SELECT a.user_name, a.src_ip, a.shift, a.bin, count(*) AS attempts, count(DISTINCT a.app) AS apps,
        count(DISTINCT a.user_agent) AS agents, min(a.time) AS first_time, max(a.time) AS last_time
    FROM sweeps b
    JOIN attempts a ON b.user_name = a.user_name AND b.src_ip = a.src_ip AND b.shift = a.shift AND b.bin = a.bin
    GROUP BY a.user_name, a.src_ip, a.shift, a.bin
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY user_name, src_ip ORDER BY agents DESC, attempts DESC, shift, bin) AS worst
    FROM windows
    WHERE attempts >= {{attempts_min}} AND apps >= {{applications_min}} AND agents >= {{agents_min}}
),
numbered AS (
    SELECT a.*, coalesce(a.app_uid, a.app_name) AS app, r.attempts, r.apps, r.agents,
        row_number() OVER (PARTITION BY a.user_name, a.src_ip ORDER BY a.time, a.event_uid) AS place
    FROM ranked r
    JOIN auth a ON r.user_name = a.user_name AND r.src_ip = a.src_ip
    WHERE r.worst = 1 AND a.time >= r.first_time AND a.time <= r.last_time
)
SELECT event_uid, time, 'auth' AS "table", source_path, source_record, concat_ws(' · ', api_operation, user_name, ip_text(src_ip), status_code, app, user_agent) AS fact,
    user_name, src_ip, attempts, apps, agents, attempts AS records
FROM numbered
WHERE place <= 50
ORDER BY user_name, src_ip, place
