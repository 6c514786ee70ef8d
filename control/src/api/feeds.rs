//! How feeds stand, and what they have found.

use ravelin_config::feed::{FeedMode, FeedSource};

use super::view::{Alerts, Feed};
use crate::{
    appliance::Appliance,
    feeds::schedule::{Health, Status},
};

/// All feeds of the configuration, in its order.
pub(super) fn list(appliance: &Appliance) -> Vec<Feed> {
    let (library, status) = (appliance.in_force().library, appliance.feeds());
    let kernel = appliance.kernel_list();
    let feeds = library.feeds().iter().map(|shelf| {
        let (feed, contents) = (&shelf.feed, &shelf.contents);
        let status = status.get(&feed.name);
        let (hits, blocked) = appliance.hits(&feed.name);
        Feed {
            name: feed.name.clone(),
            state: state(feed.mode, status).to_owned(),
            source: match &feed.source {
                FeedSource::Url { url, .. } => url.to_string(),
                FeedSource::File { file } => file.display().to_string(),
            },
            action: feed.action.to_string(),
            direction: feed.direction.to_string(),
            severity: feed.severity,
            entries: contents.len(),
            others: contents.others(),
            problems: contents.problems(),
            guarded: contents.guarded(),
            allowed: contents.allowed(),
            in_kernel: feed.drop_in_kernel.then(|| kernel.feeds.get(&feed.name).copied().unwrap_or_default()),
            age_seconds: status.and_then(|status| Some(status.age?.as_secs())),
            next_seconds: status.and_then(|status| Some(status.next?.as_secs())),
            last_error: status.and_then(|status| status.last_error.clone()),
            hits,
            blocked,
        }
    });
    feeds.collect()
}

fn state(mode: FeedMode, status: Option<&Status>) -> &'static str {
    match (mode, status.map(|status| status.health)) {
        (FeedMode::Disabled, _) => "disabled",
        (FeedMode::Enabled, None | Some(Health::Pending)) => "pending",
        (FeedMode::Enabled, Some(Health::Fresh)) => "fresh",
        (FeedMode::Enabled, Some(Health::Stale)) => "stale",
        (FeedMode::Enabled, Some(Health::Failing)) => "failing",
        (FeedMode::Enabled, Some(Health::HeldBack)) => "held back",
    }
}

/// The last alerts, the newest first.
pub(super) fn alerts(appliance: &Appliance, limit: usize) -> Alerts {
    let (alerts, forgotten) = appliance.alerts();
    let total = forgotten + alerts.len() as u64;
    Alerts { total, alerts: alerts.into_iter().rev().take(limit).collect() }
}
