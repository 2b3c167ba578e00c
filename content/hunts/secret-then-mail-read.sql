/*
id = "hunt/secret-then-mail-read"
catalogue = ["MBX-032", "MBX-042"]
title.en = "Secret added to {app_label}, then an application read the mail of {mailbox}"
title.ja = "{app_label} にシークレットが追加された後、アプリが {mailbox} のメールを読み取り"
question.en = "Was a secret added to an application, and mail then read by an application?"
question.ja = "アプリにシークレットが追加された後、アプリによってメールが読まれていませんか。"
hypothesis.en = "An intruder who can act as an administrator gives an application a secret of his own, and reads mail with it."
hypothesis.ja = "管理者として振る舞える攻撃者が、アプリに自分のシークレットを与え、それでメールを読んでいます。"
method.en = "Joins each new secret or certificate with mail read within hours by an application other than the mail programs: by the application where its id or name stands in the record of the change, else by the account that added the secret."
method.ja = "新しいシークレットまたは証明書と、その後数時間以内の（通常のメール ソフト以外の）アプリによるメール読み取りを結び付けます。変更記録にアプリの ID や名前があればアプリで、なければシークレットを追加したアカウントで照合します。"
reading.en = "Match by application is proof that the changed application read the mail. Match by account says that the account that added the secret had its mail read by an application soon after: look at the application named in the evidence and remove the secret first."
reading.ja = "アプリでの一致は、変更されたアプリ自身がメールを読んだことを示します。アカウントでの一致は、シークレットを追加したアカウントのメールが直後にアプリに読まれたことを示します。証拠にあるアプリを確認し、まずシークレットを削除してください。"
attack = ["T1098.001", "T1114.002", "T1550.001"]
severity = "critical"
stage = "collection"
key = ["secret_uid", "mailbox", "reader"]
entities = [
    { column = "actor", kind = "user", role = "actor" },
    { column = "mailbox", kind = "mailbox", role = "victim" },
    { column = "app_label", kind = "application", role = "target" },
    { column = "reader", kind = "application", role = "source" },
    { column = "src_ip", kind = "ip", role = "source" },
]

[[parameters]]
name = "window_hours"
default = 24
reason = "the catalogue: who adds a secret to read mail does so within a day"

[[reasons]]
code = "same-application"
en = "The application that got the secret read mail {minutes} minutes later"
ja = "シークレットを得たアプリが {minutes} 分後にメールを読み取り"
weight = "application_points"

[[reasons]]
code = "same-account"
en = "{minutes} minutes after {actor} added the secret, application {reader} read the mail of the same account"
ja = "{actor} がシークレットを追加した {minutes} 分後に、アプリ {reader} が同じアカウントのメールを読み取り"
weight = "account_points"
*/

WITH secrets AS (
    SELECT event_uid, time, source_path, source_record, api_operation, user_name, src_ip, tenant_uid,
        coalesce(entity_name, entity_uid, 'an application') AS app_label, lower(entity_name) AS app_name, lower(entity_uid) AS entity_uid,
        lower(concat_ws(' ', entity_uid, parameters, modified)) AS said
    FROM iam
    WHERE time > TIMESTAMP '1971-01-01T00:00:00'
        AND (api_operation ILIKE 'Update application%Certificates and secrets management%'
            OR api_operation ILIKE 'Add service principal credentials%'
            OR api_operation ILIKE 'Update service principal credentials%')
),
reads AS (
    SELECT event_uid, time, source_path, source_record, api_operation, user_name, src_ip, tenant_uid, app_name,
        lower(coalesce(mailbox, user_name)) AS mailbox, lower(coalesce(client_app_uid, app_uid)) AS reader, client_info
    FROM saas
    WHERE api_operation = 'MailItemsAccessed' AND coalesce(client_app_uid, app_uid) IS NOT NULL
        AND (client_app_uid IS NOT NULL OR client_info ILIKE 'Client=REST%' OR client_info ILIKE 'Client=WebServices%')
        AND lower(coalesce(client_app_uid, app_uid)) NOT IN (
            '00000002-0000-0ff1-ce00-000000000000', 'd3590ed6-52b3-4102-aeff-aad2292ab01c', '27922004-5251-4030-b22d-91ecd9a37ea4',
            '9199bf20-a13f-4107-85dc-02114787ef48', '5d661950-3475-41cd-a2c3-d671a3162bc1', '9ea1ad79-fdb6-4f9a-8bc3-2b70f96e34c7')
),
pairs AS (
    SELECT s.event_uid AS secret_event, s.time AS secret_time, s.source_path AS secret_path, s.source_record AS secret_record,
        s.api_operation AS secret_operation, s.src_ip AS secret_ip, s.user_name AS actor, s.app_label,
        r.event_uid, r.time, r.source_path, r.source_record, r.api_operation, r.src_ip, r.user_name, r.mailbox, r.reader, r.client_info,
        (strpos(s.said, r.reader) > 0 OR (s.app_name IS NOT NULL AND s.app_name = lower(r.app_name))) AS is_same_application,
        round((date_part('epoch', r.time) - date_part('epoch', s.time)) / 60) AS minutes
    FROM secrets s
    JOIN reads r ON r.time > s.time AND r.time <= s.time + INTERVAL '{{window_hours}} hours'
    WHERE (s.tenant_uid IS NULL OR r.tenant_uid IS NULL OR s.tenant_uid = r.tenant_uid)
        AND (strpos(s.said, r.reader) > 0
            OR (s.app_name IS NOT NULL AND s.app_name = lower(r.app_name))
            OR (s.user_name IS NOT NULL AND (s.user_name = r.user_name OR s.user_name = r.mailbox)))
),
-- One finding a mailbox and reading application: the last secret before each read explains it.
nearest AS (
    SELECT *, row_number() OVER (PARTITION BY event_uid ORDER BY is_same_application DESC, secret_time DESC, secret_event) AS choice
    FROM pairs
),
chosen AS (
    SELECT *, uid_text(secret_event) AS secret_uid, min(minutes) OVER (PARTITION BY secret_event, mailbox, reader) AS first_minutes,
        row_number() OVER (PARTITION BY secret_event, mailbox, reader ORDER BY time, event_uid) AS place,
        count(*) OVER (PARTITION BY secret_event, mailbox, reader) AS reads
    FROM nearest
    WHERE choice = 1
),
told AS (
    SELECT event_uid, time, 'saas' AS "table", source_path, source_record,
        concat_ws(' · ', api_operation, user_name, ip_text(src_ip), concat('application=', reader), client_info) AS fact,
        secret_uid, mailbox, reader, app_label, actor, src_ip, first_minutes, is_same_application, reads, place
    FROM chosen
    WHERE place <= 49
    UNION ALL
    SELECT secret_event, secret_time, 'iam', secret_path, secret_record,
        concat_ws(' · ', secret_operation, actor, ip_text(secret_ip), concat('application=', app_label)),
        secret_uid, mailbox, reader, app_label, actor, secret_ip, first_minutes, is_same_application, reads, 0
    FROM chosen
    WHERE place = 1
)
SELECT event_uid, time, "table", source_path, source_record, fact, secret_uid, mailbox, reader, app_label, actor, src_ip,
    CAST(first_minutes AS BIGINT) AS minutes, reads + 1 AS records,
    CASE WHEN is_same_application THEN 9 ELSE 0 END AS application_points,
    CASE WHEN is_same_application THEN 0 ELSE 9 END AS account_points
FROM told
ORDER BY secret_uid, mailbox, reader, place
