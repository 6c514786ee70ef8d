//! The allow-list: the feeds that it names, and whether its entries are still in force.

use crate::feed::{Allowance, BUILT_IN};
use crate::model::{AllowModel, FeedModel};
use crate::report::{Code, Findings};
use crate::schema::reader::nearest;
use jiff::Timestamp;

/// Checks the allow-list beside the feeds that there are, as of `now`. What has expired is part of it: it is for others to ask.
pub(super) fn validate(
    models: Vec<AllowModel>,
    feeds: &[FeedModel],
    now: Timestamp,
    findings: &mut Findings,
) -> Vec<Allowance> {
    let declared = feeds.iter().filter_map(|feed| feed.name.given()).map(|name| name.value.as_str());
    let names: Vec<_> = declared.chain([BUILT_IN]).collect();
    for model in &models {
        check(model, &names, now, findings);
    }
    models.into_iter().filter_map(allowance).collect()
}

fn check(model: &AllowModel, names: &[&str], now: Timestamp, findings: &mut Findings) {
    for feed in model.feeds.value().into_iter().flatten() {
        if names.contains(&feed.value.as_str()) {
            continue;
        }
        let message = format!("there is no feed `{}`", feed.value);
        let finding = findings.add(Code::UnknownFeed, &feed.range, message);
        match nearest(&feed.value, names.iter().copied()) {
            Some(nearest) => finding.label(format!("did you mean `{nearest}`?")),
            None => finding.help(format!("there are: {}", names.join(", "))),
        };
    }
    if let Some(end) = model.expires.given().filter(|end| end.value <= now) {
        let what = model.address.value().map_or_else(String::new, |address| format!(" of {address}"));
        let message = format!("the exception{what} expired on {}: feeds are acted upon there", end.value);
        findings.add(Code::Expired, &end.range, message).help("remove the entry, or say until when");
    }
}

/// What a model describes. `None` if a key is unusable, which is reported.
fn allowance(model: AllowModel) -> Option<Allowance> {
    Some(Allowance {
        address: model.address.into_value()?,
        feeds: model.feeds.into_list(),
        reason: model.reason.into_value()?,
        expires: model.expires.into_value(),
    })
}
