/*
id = "hunt/outbound-mail-spike"
catalogue = ["MBX-055", "MBX-054"]
title.en = "{sender} wrote to {recipients} outside recipients within an hour"
title.ja = "{sender} が 1 時間に外部 {recipients} 宛先へ送信"
question.en = "Which sender suddenly writes to very many recipients outside?"
question.ja = "急に多数の外部宛先へ送信し始めた差出人はいませんか。"
hypothesis.en = "The taken-over mailbox now sends the next wave of phishing."
hypothesis.ja = "乗っ取られたメールボックスから、次のフィッシングがばらまかれています。"
method.en = "Counts by sender and hour the distinct recipients in other domains; shows the worst hour if it is large and many times the usual hour of that sender."
method.ja = "差出人と 1 時間ごとに、他ドメインの異なる宛先を数えます。件数が多く、その差出人の普段の何倍にもなる最悪の 1 時間を示します。"
reading.en = "A mailing to customers looks the same but repeats each month and has a sender made for it. Look at the subject, and whether the sender signed in from a new place before."
reading.ja = "顧客向けの一斉配信も同じように見えますが、毎月繰り返され、専用の差出人があります。件名と、直前に新しい場所からのサインインがなかったかを確認してください。"
attack = ["T1586.002", "T1534"]
severity = "high"
stage = "fraud"
key = ["sender"]
entities = [
    { column = "sender", kind = "user", role = "actor" },
    { column = "src_ip", kind = "ip", role = "source" },
]

[[parameters]]
name = "recipients_min"
default = 100
reason = "the catalogue: a person does not write to a hundred outsiders an hour"

[[parameters]]
name = "times_usual_min"
default = 10
reason = "a mailing tool sends as much every time"

[[reasons]]
code = "spike"
en = "{recipients} outside recipients in one hour, usually {usual}"
ja = "1 時間に外部 {recipients} 宛先（普段は {usual}）"
weight = 6.0
*/

-- Counting distinct recipients costs memory for every group: first the few senders that can matter, then their mail.
WITH sent AS (
    SELECT lower(email_from) AS sender, lower(email_to) AS recipient, date_trunc('hour', time) AS hour, email_subject, src_ip,
        event_uid, time, source_path, source_record
    FROM email
    WHERE email_from LIKE '%@%' AND email_to LIKE '%@%' AND coalesce(direction_id, 0) <> 1 AND time > TIMESTAMP '1971-01-01T00:00:00'
        AND split_part(lower(email_from), '@', 2) <> split_part(lower(email_to), '@', 2)
),
busy AS (
    SELECT DISTINCT sender FROM (SELECT sender FROM sent GROUP BY sender, hour HAVING count(*) >= {{recipients_min}})
),
hours AS (
    SELECT s.sender, s.hour, count(DISTINCT s.recipient) AS recipients, count(*) AS records
    FROM busy b
    JOIN sent s ON b.sender = s.sender
    GROUP BY s.sender, s.hour
),
compared AS (
    SELECT *, row_number() OVER (PARTITION BY sender ORDER BY recipients DESC, hour) AS worst,
        (sum(recipients) OVER (PARTITION BY sender) - recipients)
            / greatest(count(*) OVER (PARTITION BY sender) - 1, 1) AS usual
    FROM hours
),
numbered AS (
    SELECT s.*, c.recipients, c.records, c.usual, row_number() OVER (PARTITION BY s.sender ORDER BY s.time, s.event_uid) AS place
    FROM compared c
    JOIN sent s ON c.sender = s.sender AND c.hour = s.hour
    WHERE c.worst = 1 AND c.recipients >= {{recipients_min}} AND c.recipients >= {{times_usual_min}} * c.usual
)
SELECT event_uid, time, 'email' AS "table", source_path, source_record,
    concat_ws(' · ', sender, recipient, email_subject) AS fact,
    sender, src_ip, recipients, usual, records
FROM numbered
WHERE place <= 50
ORDER BY sender, place
