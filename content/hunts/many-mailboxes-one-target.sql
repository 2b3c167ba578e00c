/*
id = "hunt/many-mailboxes-one-target"
catalogue = ["MBX-025"]
title.en = "{mailboxes} mailboxes forward to {target}"
title.ja = "{mailboxes} 個のメールボックスが {target} に転送"
question.en = "Do several mailboxes forward to one address elsewhere?"
question.ja = "複数のメールボックスが、外部の同じ宛先に転送していませんか。"
hypothesis.en = "One intruder collects the mail of several victims."
hypothesis.ja = "一人の攻撃者が、複数の被害者のメールを集めています。"
method.en = "Reads the forwarding target of inbox rules and mailbox settings and counts, by target outside of the domain of the mailbox, the mailboxes within a week."
method.ja = "受信トレイ ルールとメールボックス設定から転送先を読み取り、メールボックスと異なるドメインの宛先ごとに、1 週間以内のメールボックス数を数えます。"
reading.en = "One outside address that several people forward to is an intruder or an archive product: ask who owns it, and take the forwarding away from all of them at once."
reading.ja = "複数の人が転送する外部の宛先は、攻撃者かアーカイブ製品です。所有者を確認し、必要なら全員の転送を同時に解除してください。"
attack = ["T1114.003"]
severity = "critical"
stage = "persistence"
key = ["target"]
entities = [
    { column = "target", kind = "email_address", role = "target" },
    { column = "mailbox", kind = "mailbox", role = "victim" },
    { column = "user_name", kind = "user", role = "actor" },
    { column = "src_ip", kind = "ip", role = "source" },
]

[[parameters]]
name = "mailboxes_min"
default = 2
reason = "people do not share a private address"

[[parameters]]
name = "window_days"
default = 7
reason = "a campaign works through its victims within a week"

[[reasons]]
code = "many-to-one"
en = "{mailboxes} mailboxes forward to {target} within a week"
ja = "1 週間以内に {mailboxes} 個のメールボックスが {target} に転送"
weight = 9.0
*/

WITH forwards AS (
    SELECT lower(coalesce(mailbox, user_name)) AS mailbox, user_name, src_ip, api_operation, event_uid, time, source_path, source_record,
        regexp_match(lower(parameters),
            '"(?:forwardto|redirectto|forwardasattachmentto|forwardingsmtpaddress|forwardingaddress)":"(?:[^"\\]|\\.)*?([a-z0-9._%+-]+@[a-z0-9-]+(?:[.][a-z0-9-]+)+)')[1] AS target
    FROM iam
    WHERE parameters LIKE '%@%' AND (parameters ILIKE '%forward%' OR parameters ILIKE '%redirectto%')
),
outside AS (
    SELECT * FROM forwards
    WHERE target IS NOT NULL AND mailbox IS NOT NULL AND target <> mailbox
        AND split_part(target, '@', 2) <> split_part(mailbox, '@', 2)
        AND split_part(target, '@', 2) <> split_part(lower(coalesce(user_name, '')), '@', 2)
),
waves AS (
    SELECT a.target, a.time AS wave_time, count(DISTINCT b.mailbox) AS mailboxes
    FROM (SELECT DISTINCT target, time FROM outside) a
    JOIN outside b ON a.target = b.target AND b.time >= a.time AND b.time <= a.time + INTERVAL '{{window_days}} days'
    GROUP BY a.target, a.time
),
ranked AS (
    SELECT *, row_number() OVER (PARTITION BY target ORDER BY mailboxes DESC, wave_time) AS worst
    FROM waves
    WHERE mailboxes >= {{mailboxes_min}}
),
numbered AS (
    SELECT o.*, r.mailboxes, row_number() OVER (PARTITION BY o.target ORDER BY o.time, o.event_uid) AS place,
        count(*) OVER (PARTITION BY o.target) AS records
    FROM ranked r
    JOIN outside o ON r.target = o.target
    WHERE r.worst = 1 AND o.time >= r.wave_time AND o.time <= r.wave_time + INTERVAL '{{window_days}} days'
)
SELECT event_uid, time, 'iam' AS "table", source_path, source_record,
    concat_ws(' · ', api_operation, user_name, ip_text(src_ip), concat('target=', target)) AS fact,
    target, mailbox, user_name, src_ip, mailboxes, records
FROM numbered
WHERE place <= 50
ORDER BY target, place
