//! Records about the content of mailboxes and sites: searches, deletions, shares.

use super::{MessageId, Record, Wrapper, token};
use crate::dice::mix;
use crate::event::{Deleted, Share};
use crate::pieces::{Escaped, Hex, Id, Token, fill, put};
use crate::world::SHAREPOINT;

/// Site of the projects.
const SITE: &str = "https://matagi-seisakusho.sharepoint.example/sites/projects/Shared Documents/";

impl Record<'_> {
    pub(super) fn delete(&mut self, deleted: &Deleted) -> Wrapper {
        self.head(deleted.operation, 3, "Succeeded", 0, "Exchange");
        let (app, user) = (self.mail_app(), self.event.user);
        self.mailbox(user, app, None);
        let folder = Hex(mix([user.into(), deleted.folder.len() as u64, 41]));
        put!(self.out, ",\"AffectedItems\":[");
        for (position, (key, subject)) in deleted.messages.iter().enumerate() {
            fill(
                self.out,
                r#"
                %{"Attachments":"","Id":"RgAAAAB%","InternetMessageId":"%","ParentFolder":{"Id":"LgAAAAB%AQAC","Path":"%"}
                ,"Subject":"%"}"#,
                &[
                    &(if position == 0 { "" } else { "," }),
                    &Hex(*key),
                    &MessageId(*key),
                    &folder,
                    &Escaped(deleted.folder),
                    &Escaped(subject),
                ],
            );
        }
        fill(
            self.out,
            r#"],"CrossMailboxOperation":false,"Folder":{"Id":"LgAAAAB%AQAC","Path":"%"}}"#,
            &[&folder, &Escaped(deleted.folder)],
        );
        Wrapper { record_type: "ExchangeItemGroup", operation: deleted.operation }
    }

    pub(super) fn search(&mut self, operation: &'static str, query: &str) -> Wrapper {
        if operation == "SearchQueryInitiatedExchange" {
            self.head(operation, 156, "Succeeded", 0, "Exchange");
            let app = self.mail_app();
            self.mailbox(self.event.user, app, None);
            fill(
                self.out,
                r#","QuerySource":"Mailbox","ScenarioName":"owa.react","QueryText":"%"}"#,
                &[&Escaped(query)],
            );
            return Wrapper { record_type: "ExchangeSearch", operation };
        }
        self.head(operation, 157, "Succeeded", 0, "SharePoint");
        fill(
            self.out,
            r#"
            ,"ClientIP":"%","EventSource":"SharePoint","UserAgent":"%","SiteUrl":"%","QuerySource":"SharePoint"
            ,"ScenarioName":"SPHomeWeb","QueryText":"%""#,
            &[
                &self.event.seat.place.ip,
                &Escaped(self.event.seat.device.client.user_agent),
                &Escaped(SITE),
                &Escaped(query),
            ],
        );
        self.site_access();
        put!(self.out, "}");
        Wrapper { record_type: "SharePointSearch", operation }
    }

    pub(super) fn share(&mut self, share: &Share) -> Wrapper {
        self.head(share.operation, 14, "Succeeded", 0, "SharePoint");
        fill(
            self.out,
            r#"
            ,"ClientIP":"%","ObjectId":"%%","CorrelationId":"%","EventSource":"SharePoint","ItemType":"File"
            ,"UserAgent":"%","SiteUrl":"%","SourceFileName":"%","SourceRelativeUrl":"Shared Documents"
            ,"UniqueSharingId":"%""#,
            &[
                &self.event.seat.place.ip,
                &Escaped(SITE),
                &Escaped(&share.file),
                &Id(self.event.id ^ 0x5a5a),
                &Escaped(self.event.seat.device.client.user_agent),
                &Escaped(SITE),
                &Escaped(&share.file),
                &Id(self.event.id ^ 0x6b6b),
            ],
        );
        match &share.guest {
            Some(guest) => {
                fill(self.out, r#","TargetUserOrGroupName":"%","TargetUserOrGroupType":"Guest""#, &[&Escaped(guest)]);
            }
            None => put!(self.out, ",\"EventData\":\"<Type>View</Type>\""),
        }
        self.site_access();
        put!(self.out, "}");
        Wrapper { record_type: "SharePointSharingOperation", operation: share.operation }
    }

    /// Session and token, as records of sites have them.
    pub(super) fn site_access(&mut self) {
        let event = self.event;
        fill(
            self.out,
            r#","AppAccessContext":{"AADSessionId":"%","CorrelationId":"%","UniqueTokenId":"%"}"#,
            &[&Id(event.seat.session), &Id(event.id ^ 0x5a5a), &Token(token(event, SHAREPOINT.id))],
        );
    }
}
