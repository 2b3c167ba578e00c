/*
id = "hunt/disabled-or-unknown-accounts"
catalogue = ["MBX-014"]
title.en = "One address tries disabled or unknown accounts"
title.ja = "単一アドレスによる無効・不明アカウントへの試行"
question.en = "Which addresses try accounts that are disabled or never existed?"
question.ja = "無効化済み、または存在しないアカウントを試しているアドレスはどれですか。"
hypothesis.en = "Somebody works through an old or guessed list of names."
hypothesis.ja = "何者かが、古い名簿や推測した名前の一覧を順に試しています。"
method.en = "Counts, by address and day, sign-ins to disabled accounts (50057) and to names that do not exist (50034), and whether the same address also signed in."
method.ja = "アドレスと日ごとに、無効化済みアカウント（50057）と存在しない名前（50034）へのサインイン試行を数え、同じアドレスが成功もしているかを調べます。"
reading.en = "Many names from one address are a list being tried. One disabled account alone may be the forgotten phone of somebody who left; a success from the same address is not."
reading.ja = "一つのアドレスから多くの名前が試されていれば、名簿を使った試行です。無効化済みアカウント一つだけなら、退職者の端末に残った設定かもしれません。同じアドレスに成功があれば話は別です。"
attack = ["T1087", "T1110"]
severity = "low"
stage = "credential_acquisition"
key = ["src_ip", "day"]
entities = [
    { column = "src_ip", kind = "ip", role = "source" },
    { column = "user_name", kind = "user", role = "target" },
]

[[parameters]]
name = "disabled_tries_min"
default = 3
reason = "one or two tries are a person who does not know yet"

[[parameters]]
name = "disabled_accounts_min"
default = 3
reason = "three accounts of leavers in one place are a list, not a phone"

[[parameters]]
name = "unknown_accounts_min"
default = 10
reason = "typing errors do not reach ten different names a day"

[[reasons]]
code = "tries-disabled"
en = "{disabled_tries} tries at {disabled_accounts} disabled accounts"
ja = "無効化済みの {disabled_accounts} アカウントに {disabled_tries} 回の試行"
weight = "disabled_points"

[[reasons]]
code = "tries-unknown"
en = "{unknown_accounts} names that do not exist"
ja = "存在しない {unknown_accounts} 個の名前への試行"
weight = "unknown_points"

[[reasons]]
code = "also-succeeded"
en = "The same address also signed in to {succeeded} accounts"
ja = "同じアドレスが {succeeded} アカウントへのサインインにも成功"
weight = "success_points"
*/

WITH tries AS (
    SELECT src_ip, date_trunc('day', time) AS day, user_name, status_code, api_operation, event_uid, time, source_path, source_record
    FROM auth
    WHERE src_ip IS NOT NULL AND user_name IS NOT NULL AND status_code IN ('50057', '50034')
),
sources AS (
    SELECT src_ip, day,
        count(CASE WHEN status_code = '50057' THEN 1 END) AS disabled_tries,
        count(DISTINCT CASE WHEN status_code = '50057' THEN user_name END) AS disabled_accounts,
        count(DISTINCT CASE WHEN status_code = '50034' THEN user_name END) AS unknown_accounts,
        count(*) AS records
    FROM tries
    GROUP BY src_ip, day
),
suspects AS (
    SELECT * FROM sources
    WHERE disabled_tries >= {{disabled_tries_min}} OR unknown_accounts >= {{unknown_accounts_min}}
),
successes AS (
    SELECT auth.src_ip, count(DISTINCT auth.user_name) AS succeeded
    FROM (SELECT DISTINCT src_ip FROM suspects) s
    JOIN auth ON s.src_ip = auth.src_ip
    WHERE auth.status_id = 1
    GROUP BY auth.src_ip
),
judged AS (
    SELECT suspects.*, coalesce(successes.succeeded, 0) AS succeeded,
        suspects.disabled_accounts >= {{disabled_accounts_min}} OR suspects.unknown_accounts >= {{unknown_accounts_min}} AS is_list
    FROM suspects
    LEFT JOIN successes ON suspects.src_ip = successes.src_ip
),
numbered AS (
    SELECT tries.*, judged.disabled_tries, judged.disabled_accounts, judged.unknown_accounts, judged.records, judged.succeeded, judged.is_list,
        row_number() OVER (PARTITION BY tries.src_ip, tries.day ORDER BY tries.time, tries.event_uid) AS place
    FROM judged
    JOIN tries ON judged.src_ip = tries.src_ip AND judged.day = tries.day
)
SELECT event_uid, time, 'auth' AS "table", source_path, source_record, concat_ws(' · ', api_operation, user_name, ip_text(src_ip), status_code) AS fact,
    src_ip, day, user_name, disabled_tries, disabled_accounts, unknown_accounts, succeeded, records,
    CASE WHEN is_list AND succeeded > 0 THEN 'high' WHEN is_list OR succeeded > 0 THEN 'medium' ELSE 'low' END AS severity,
    CASE WHEN disabled_accounts >= {{disabled_accounts_min}} THEN 4 WHEN disabled_tries > 0 THEN 2 ELSE 0 END AS disabled_points,
    CASE WHEN unknown_accounts >= {{unknown_accounts_min}} THEN 4 ELSE 0 END AS unknown_points,
    CASE WHEN succeeded > 0 THEN 2 ELSE 0 END AS success_points
FROM numbered
WHERE place <= 50
ORDER BY src_ip, day, place
