//! Addresses inside parameters, and whether they lead out of the organisation.

use matagi_model::Estate;

use super::dictionary;

/// How far away a recipient is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// Of the organisation, or a name without a domain.
    Internal,
    /// Outside.
    External,
    /// Outside, at a provider where anybody opens a mailbox.
    FreeMail,
}

/// A recipient named by a rule or setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Recipient {
    /// Address in lower case, or the name as recorded.
    pub address: String,
    /// How far away.
    pub reach: Reach,
}

/// Recipients that one parameter may name: more is a list nobody typed.
const RECIPIENTS_MAX: usize = 500;

/// Reads the recipients out of a parameter: `smtp:a@b`, `"Name" [SMTP:a@b]`, `a@b;c@d`, `[EX:/o=...]`.
pub fn recipients(value: &str, estate: &Estate) -> Vec<Recipient> {
    let mut found: Vec<Recipient> = value
        .split([';', ','])
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .take(RECIPIENTS_MAX)
        .map(|part| {
            let address = address_in(part).unwrap_or_else(|| part.to_owned());
            Recipient { reach: reach(&address, estate), address }
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

fn address_in(part: &str) -> Option<String> {
    let word = part.split(|c: char| c.is_whitespace() || "[]<>()\"'{}".contains(c)).find(|word| word.contains('@'))?;
    let lower = word.to_lowercase();
    let address = lower.strip_prefix("smtp:").unwrap_or(&lower).trim_matches(['.', ':']).to_owned();
    address.contains('@').then_some(address)
}

fn reach(address: &str, estate: &Estate) -> Reach {
    let Some((_, domain)) = address.rsplit_once('@') else { return Reach::Internal };
    if estate.is_internal(address) && !estate.domains.is_empty() {
        return Reach::Internal;
    }
    if dictionary().is_free_mail(domain) { Reach::FreeMail } else { Reach::External }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_recipient() {
        let estate = Estate { domains: ["contoso.example".to_owned()].into(), ..Estate::default() };
        let found = recipients("\"Evil\" [SMTP:Evil@Gmail.com];smtp:anna@contoso.example; Finance Archive", &estate);
        let told: Vec<_> = found.iter().map(|one| (one.address.as_str(), one.reach)).collect();
        assert_eq!(
            told,
            [
                ("Finance Archive", Reach::Internal),
                ("anna@contoso.example", Reach::Internal),
                ("evil@gmail.com", Reach::FreeMail)
            ]
        );
    }
}
