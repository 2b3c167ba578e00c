//! The picture of an incident as inline SVG. Colours come from the style sheet, so it follows light, dark and print.

use std::fmt::Write as _;

use matagi_model::Severity;

use super::blocks::badge;
use super::escape;
use crate::picture::{Mark, Picture};
use crate::texts::ui;

// Units are those of the view box; at full width one is about a pixel.
const WIDTH: f64 = 960.0;
const LABELS_WIDTH: f64 = 170.0;
const RIGHT_MARGIN: f64 = 44.0;
const TOP: f64 = 8.0;
const LANE_HEIGHT: f64 = 46.0;
const AXIS_HEIGHT: f64 = 46.0;
const MARK_RADIUS: f64 = 8.0;
/// Marks closer than this would touch; their counts need the room too.
const MARK_DISTANCE: f64 = 34.0;
/// Runs shorter than this hide behind their mark.
const RUN_MIN: f64 = 14.0;

fn x_of(place: f64) -> f64 {
    LABELS_WIDTH + place * (WIDTH - LABELS_WIDTH - RIGHT_MARGIN)
}

pub(super) fn write(out: &mut String, picture: &Picture, lang: &str) {
    let lanes_height = LANE_HEIGHT * picture.lanes.len() as f64;
    let height = TOP + lanes_height + AXIS_HEIGHT;
    let about = escape(&picture.about);
    let _ = writeln!(
        out,
        "<figure class=\"picture\"><div class=\"scroll\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{about}\">"
    );
    for index in 0..picture.lanes.len() {
        let (y, class) = (TOP + LANE_HEIGHT * index as f64, if index % 2 == 0 { "lane" } else { "lane odd" });
        let _ = writeln!(out, "<rect class=\"{class}\" x=\"0\" y=\"{y}\" width=\"{WIDTH}\" height=\"{LANE_HEIGHT}\"/>");
    }
    axis(out, picture, TOP + lanes_height);
    for (index, lane) in picture.lanes.iter().enumerate() {
        let middle = TOP + LANE_HEIGHT * (index as f64 + 0.5);
        let _ = writeln!(out, "<text class=\"label\" x=\"12\" y=\"{}\">{}</text>", middle + 5.0, escape(&lane.title));
        for mark in lane.spread(MARK_DISTANCE / (WIDTH - LABELS_WIDTH - RIGHT_MARGIN)) {
            draw(out, &mark, middle);
        }
    }
    out.push_str("</svg></div><figcaption>");
    legend(out, picture, lang);
    out.push_str("</figcaption></figure>\n");
}

fn axis(out: &mut String, picture: &Picture, bottom: f64) {
    for tick in &picture.ticks {
        let x = x_of(tick.place);
        let (utc, jst) = (escape(&tick.utc), escape(&tick.jst));
        let _ = writeln!(
            out,
            "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{}\">{utc}</text><text class=\"tick second\" x=\"{x:.1}\" y=\"{}\">{jst}</text>",
            bottom + 18.0,
            bottom + 35.0
        );
    }
    let _ = writeln!(
        out,
        "<path class=\"axis\" d=\"M{LABELS_WIDTH} {bottom}H{WIDTH}\"/>\
         <text class=\"zone\" x=\"12\" y=\"{}\">UTC</text><text class=\"zone second\" x=\"12\" y=\"{}\">JST</text>",
        bottom + 18.0,
        bottom + 35.0
    );
}

fn draw(out: &mut String, mark: &Mark, middle: f64) {
    let (x, end, severity) = (x_of(mark.place), x_of(mark.end), mark.severity);
    let _ = write!(out, "<g class=\"mark sev-{severity}\"><title>{}</title>", escape(&mark.label));
    if end - x > RUN_MIN {
        let _ = write!(out, "<path class=\"run\" d=\"M{x:.1} {middle}H{end:.1}\"/>");
    }
    out.push_str(&shape(severity, x, middle, MARK_RADIUS));
    if mark.count > 1 {
        let _ = write!(out, "<text x=\"{:.1}\" y=\"{:.1}\">×{}</text>", x + 10.0, middle - 8.0, short(mark.count));
    }
    out.push_str("</g>\n");
}

/// A count in at most four characters, so that counts side by side do not touch.
fn short(count: u64) -> String {
    match count {
        0..=999 => count.to_string(),
        1_000..=999_999 => format!("{}k", count / 1_000),
        _ => format!("{}M", count / 1_000_000),
    }
}

/// Each severity has a shape of its own, for those who do not see its colour.
pub(super) fn shape(severity: Severity, x: f64, y: f64, r: f64) -> String {
    let (left, right, top, bottom) = (x - r, x + r, y - r, y + r);
    match severity {
        Severity::Critical => format!(
            "<path class=\"shape\" d=\"M{x:.1} {top:.1} {right:.1} {y:.1} {x:.1} {bottom:.1} {left:.1} {y:.1}z\"/>"
        ),
        Severity::High => format!("<path class=\"shape\" d=\"M{x:.1} {top:.1} {right:.1} {bottom:.1}H{left:.1}z\"/>"),
        Severity::Medium => {
            let (side, half) = (r * 1.6, r * 0.8);
            format!(
                "<rect class=\"shape\" x=\"{:.1}\" y=\"{:.1}\" width=\"{side:.1}\" height=\"{side:.1}\"/>",
                x - half,
                y - half
            )
        }
        Severity::Low => format!("<circle class=\"shape\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\"/>", r * 0.85),
        Severity::Informational => {
            format!("<circle class=\"shape hollow\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{:.1}\"/>", r * 0.75)
        }
    }
}

fn legend(out: &mut String, picture: &Picture, lang: &str) {
    let _ = write!(out, "<span class=\"muted\">{}</span>", escape(&ui(lang, "legend", &[])));
    for severity in Severity::ALL.into_iter().rev() {
        if picture.lanes.iter().any(|lane| lane.marks.iter().any(|mark| mark.severity == severity)) {
            out.push_str(&badge(severity, lang));
        }
    }
    if picture.without_time > 0 {
        let note = ui(lang, "without-time", &[("count", &picture.without_time.to_string())]);
        let _ = write!(out, "<span class=\"muted\">{}</span>", escape(&note));
    }
}
