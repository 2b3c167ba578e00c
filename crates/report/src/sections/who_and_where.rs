//! Who suffered, who acted, from where and with what.

use std::collections::BTreeMap;

use matagi_model::{EntityKind, Role};

use super::{Part, SectionMeta, facts, figure, say};
use crate::block::{Block, Column, Fit, Inline, Line};
use crate::document::{EntityDocument, HuntDocument, IncidentDocument};
use crate::texts::{ui, word};

/// Entities that everybody sees; the rest is folded.
const ENTITIES_OPEN_MAX: usize = 20;

pub(super) struct WhoAndWhere;

impl Part for WhoAndWhere {
    fn meta(&self) -> SectionMeta {
        SectionMeta { name: "who-and-where", terminal: true }
    }

    fn blocks(&self, _document: &HuntDocument, incident: &IncidentDocument, lang: &str) -> Vec<Block> {
        of_entities(&incident.entities, lang)
    }
}

/// A table of entities, the telling ones open, the rest folded.
pub(super) fn of_entities(entities: &[EntityDocument], lang: &str) -> Vec<Block> {
    if entities.is_empty() {
        return Vec::new();
    }
    let merged = merged(entities);
    let (open, folded) = merged.split_at(merged.len().min(ENTITIES_OPEN_MAX));
    let mut blocks = vec![table(open, lang)];
    if !folded.is_empty() {
        let summary = ui(lang, "more-entities", &[("count", &figure(folded.len() as u64))]);
        blocks.push(Block::Fold { is_open: false, summary: Inline::line(summary), blocks: vec![table(folded, lang)] });
    }
    blocks
}

type Merged<'a> = (&'a EntityDocument, Vec<Role>);

/// One line an entity, with all its roles, in the order of its first role.
fn merged(entities: &[EntityDocument]) -> Vec<Merged<'_>> {
    let mut merged: Vec<Merged<'_>> = Vec::new();
    let mut places: BTreeMap<(EntityKind, &str), usize> = BTreeMap::new();
    for entity in entities {
        let place = *places.entry((entity.kind, &entity.value)).or_insert(merged.len());
        match merged.get_mut(place) {
            Some((_, roles)) => roles.push(entity.role),
            None => merged.push((entity, vec![entity.role])),
        }
    }
    merged
}

fn table(entities: &[Merged<'_>], lang: &str) -> Block {
    let mut columns = vec![
        Column::new(say(lang, "role-head"), Fit::Whole),
        Column::new(say(lang, "kind-head"), Fit::Whole),
        Column::new(say(lang, "value-head"), Fit::Words),
    ];
    let has_facts = entities.iter().any(|(entity, _)| entity.facts.is_some());
    if has_facts {
        columns.push(Column::new(say(lang, "facts-head"), Fit::Words));
    }
    let row = |(entity, roles): &Merged<'_>| -> Vec<Line> {
        let roles: Vec<String> = roles.iter().map(|role| word(lang, "role", role.word())).collect();
        let value =
            if entity.kind == EntityKind::Rule { Inline::text(&entity.value) } else { Inline::mono(&entity.value) };
        let kind = word(lang, "kind", entity.kind.word());
        let mut row = vec![Inline::line(roles.join(" + ")), Inline::line(kind), vec![value]];
        if has_facts {
            row.push(facts(entity, lang));
        }
        row
    };
    Block::Table { columns, rows: entities.iter().map(row).collect() }
}
