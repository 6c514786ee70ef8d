mod rules;
mod set;

pub use rules::{FeedRule, Threat};
pub use set::{Feeds, Indicator, IndicatorSet};
