//! Drift as one page: no script, nothing from elsewhere, every text escaped.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{DriftJson, seconds};
use crate::drift::{Finding, Idle, Kind};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;\
    color:#1c2024;background:#fff}h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;color:#4a5159}dd{margin:0}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;vertical-align:top;padding:.35rem .75rem .35rem 0;\
    border-bottom:1px solid #d9dee3}td:first-child{font-family:ui-monospace,monospace;overflow-wrap:anywhere}\
    .none{color:#1a7f37}@media(prefers-color-scheme:dark){body{color:#e6e8ea;background:#16191c}dl{color:#a9b1b9}\
    th,td{border-color:#363c42}.none{color:#56d364}}";

/// The whole page.
pub(super) fn page(drift: &DriftJson) -> Markup {
    let DriftJson { instance, host, digest, since, until, findings, idle } = drift;
    let name = host.as_deref().unwrap_or(instance);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Drift of " (name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Drift of " (name) }
                dl {
                    dt { "Instance" } dd { (instance) }
                    dt { "Policy" } dd { (digest) }
                    dt { "Evidence" } dd { "from " (seconds(*since)) " to " (seconds(*until)) }
                    dt { "Findings" } dd { (findings.len()) }
                }
                @if findings.is_empty() {
                    p.none { "Network, host, documents and kernel agree." }
                }
                @for kind in Kind::ALL {
                    (of_kind(kind, findings))
                }
                @if !idle.is_empty() {
                    h2 { "Idle, and not required" }
                    (spare(idle))
                }
            }
        }
    }
}

fn of_kind(kind: Kind, findings: &[Finding]) -> Markup {
    let of_kind = || findings.iter().filter(|finding| finding.kind == kind);
    html! {
        @if of_kind().next().is_some() {
            h2 { (heading(kind)) }
            table {
                thead { tr { th { "Subject" } th { "Seen" } th { "Expected" } } }
                tbody {
                    @for Finding { kind: _, subject, seen, expected } in of_kind() {
                        tr { td { (subject) } td { (seen) } td { (expected) } }
                    }
                }
            }
        }
    }
}

const fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Kernel => "The kernel",
        Kind::UndocumentedTraffic => "Undocumented traffic",
        Kind::UndocumentedListener => "Sockets that no document explains",
        Kind::LegacyPort => "Ports of older versions",
        Kind::MissingListener => "Documented flows that nothing waits for",
        Kind::UnusedFlow => "Required flows that nobody used",
    }
}

fn spare(idle: &[Idle]) -> Markup {
    html! {
        table {
            thead { tr { th { "Flow" } th { "Need" } th { "For" } } }
            tbody {
                @for Idle { flow, need, purpose } in idle {
                    tr { td { (flow) } td { (need.name()) } td { (purpose) } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::policy::rule::Need;

    #[test]
    fn what_others_wrote_is_escaped() {
        let finding = Finding {
            kind: Kind::UndocumentedTraffic,
            subject: "<script>alert(1)</script>".into(),
            seen: "4 dropped & \"more\"".into(),
            expected: "nothing".into(),
        };
        let idle = Idle { flow: "SITE-1".into(), need: Need::Debug, purpose: "<b>".into() };
        let drift = DriftJson {
            instance: "default".into(),
            host: Some("<line4>".into()),
            digest: "0".into(),
            since: Timestamp::UNIX_EPOCH,
            until: Timestamp::UNIX_EPOCH,
            findings: vec![finding],
            idle: vec![idle],
        };
        let page = page(&drift).into_string();
        for part in [
            "&lt;script&gt;",
            "4 dropped &amp; &quot;more&quot;",
            "<title>Drift of &lt;line4&gt;</title>",
            "<td>debug</td>",
            "Undocumented traffic",
        ] {
            assert!(page.contains(part), "{part} in\n{page}");
        }
        assert!(!page.contains("<script") && !page.contains("http") && !page.contains("The kernel<"));
    }
}
