/*
id = "hunt/signed-in-from-trying-address"
catalogue = ["MBX-014", "MBX-016"]
title.en = "{user_name} was signed in from an address that tried disabled accounts"
title.ja = "無効アカウントを試したアドレスから {user_name} のサインインが成功"
question.en = "Whose account is used from an address that also tried disabled or unknown accounts?"
question.ja = "無効化済みや存在しないアカウントを試したアドレスから、誰のアカウントが使われていますか。"
hypothesis.en = "Whoever works through a list of names ends with the account that opened."
hypothesis.ja = "名簿を順に試した者は、最後には開いたアカウントを使います。"
method.en = "Joins addresses with repeated tries at disabled (50057) or unknown (50034) accounts with the successful sign-ins from them within the window. Addresses from which many people sign in are an office and are left out."
method.ja = "無効化済み（50057）または不明（50034）なアカウントを繰り返し試したアドレスと、期間内に同じアドレスから成功したサインインを突き合わせます。多くの人が使うアドレスは拠点とみなして除きます。"
reading.en = "Ask the person about the place. An address that only one leaver and one successor share may be a home or a handed-over device."
reading.ja = "本人に接続場所を確認してください。退職者と後任者だけが使うアドレスであれば、自宅や引き継いだ端末の可能性があります。"
attack = ["T1078.004"]
severity = "medium"
stage = "initial_access"
key = ["src_ip", "user_name"]
entities = [
    { column = "src_ip", kind = "ip", role = "source" },
    { column = "user_name", kind = "user", role = "victim" },
]

[[parameters]]
name = "tries_min"
default = 3
reason = "one or two tries are a person who does not know yet"

[[parameters]]
name = "window_days"
default = 30
reason = "a list is tried for weeks before it is used"

[[parameters]]
name = "users_max"
default = 3
reason = "an address from which more people sign in is an office or a gateway"

[[reasons]]
code = "tried-before"
en = "{tries} tries at {tried_accounts} disabled or unknown accounts from {ip}"
ja = "{ip} から、無効または不明な {tried_accounts} アカウントへの試行が {tries} 回"
weight = "tried_points"

[[reasons]]
code = "signed-in"
en = "{records} successful sign-ins of {user_name} from there"
ja = "同じアドレスから {user_name} のサインインが {records} 回成功"
weight = "success_points"
*/

WITH tries AS (
    SELECT src_ip, count(*) AS tries, count(DISTINCT user_name) AS tried_accounts, min(time) AS first_try, max(time) AS last_try
    FROM auth
    WHERE src_ip IS NOT NULL AND user_name IS NOT NULL AND status_code IN ('50057', '50034')
    GROUP BY src_ip
    HAVING count(*) >= {{tries_min}}
),
successes AS (
    SELECT auth.src_ip, auth.user_name, auth.event_uid, auth.time, auth.source_path, auth.source_record, auth.api_operation,
        tries.tries, tries.tried_accounts
    FROM tries
    JOIN auth ON tries.src_ip = auth.src_ip
    WHERE auth.status_id = 1 AND auth.user_name IS NOT NULL
        AND auth.time >= tries.first_try - INTERVAL '{{window_days}} days'
        AND auth.time <= tries.last_try + INTERVAL '{{window_days}} days'
),
users AS (
    SELECT src_ip, count(DISTINCT user_name) AS users FROM successes GROUP BY src_ip
),
counted AS (
    SELECT src_ip, user_name, count(*) AS records FROM successes GROUP BY src_ip, user_name
),
numbered AS (
    SELECT successes.*, counted.records,
        row_number() OVER (PARTITION BY successes.src_ip, successes.user_name ORDER BY successes.time, successes.event_uid) AS place
    FROM users
    JOIN counted ON users.src_ip = counted.src_ip
    JOIN successes ON counted.src_ip = successes.src_ip AND counted.user_name = successes.user_name
    WHERE users.users <= {{users_max}}
)
SELECT event_uid, time, 'auth' AS "table", source_path, source_record, concat_ws(' · ', api_operation, user_name, ip_text(src_ip)) AS fact,
    src_ip, user_name, ip_text(src_ip) AS ip, tries, tried_accounts, records, 3 AS tried_points, 3 AS success_points
FROM numbered
WHERE place <= 50
ORDER BY src_ip, user_name, place
