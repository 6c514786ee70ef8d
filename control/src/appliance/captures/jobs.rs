//! Captures that begin and end by themselves: when their time has come, and as the configuration declares them.

use std::sync::Arc;

use jiff::Timestamp;
use ravelin_config::Config;

use super::CaptureDesk;
use crate::{
    appliance::Appliance,
    capture::{CaptureSpec, registry::State},
    reload::Reloader,
};

impl Appliance {
    /// Ends captures whose time has come, or that the writer has ended, or that the configuration does not declare any more; and begins
    /// those that are due.
    pub(in crate::appliance) async fn watch_captures(&self, reloader: &mut Reloader) {
        let ends = self.captures.lock().as_mut().map(CaptureDesk::look).unwrap_or_default();
        for (name, state) in ends {
            if let State::Error(error) = &state {
                tracing::error!(capture = name, %error, "the capture has ended");
            } else {
                tracing::info!(capture = name, "the capture has ended");
            }
            if let Ok(Some(number)) = self.capture_number(&name) {
                self.end_capture(&name, number, state, reloader).await;
            }
        }
        self.follow_jobs(reloader).await;
        let now = Timestamp::now();
        if let Some(desk) = &mut *self.captures.lock() {
            let due = desk.registry.due_to_begin(now);
            for name in &due {
                if let Err(error) = desk.begin(name, now, reloader) {
                    tracing::error!(capture = name, %error, "the capture cannot begin");
                }
            }
            if !due.is_empty() {
                desk.save();
            }
        }
    }

    /// Has the captures that the configuration in force declares, and no other jobs. One that is the same as before goes on.
    async fn follow_jobs(&self, reloader: &mut Reloader) {
        let config = Arc::clone(reloader.running());
        let is_followed = |declared: &Arc<Config>| Arc::ptr_eq(declared, &config);
        let (jobs, others) = match &*self.captures.lock() {
            Some(desk) if !desk.declared.as_ref().is_some_and(is_followed) => {
                let jobs: Vec<_> = config.jobs.iter().map(CaptureSpec::from).collect();
                let others = desk.registry.not_among(&jobs);
                (jobs, others)
            }
            Some(_) | None => return,
        };
        for name in &others {
            if let Ok(Some(number)) = self.capture_number(name) {
                tracing::info!(capture = name, "the configuration has ended the capture");
                self.end_capture(name, number, State::Finished, reloader).await;
            }
        }
        let Some(desk) = &mut *self.captures.lock() else { return };
        let now = Timestamp::now();
        for name in &others {
            desk.registry.release(name, now);
        }
        for spec in jobs {
            if desk.registry.get(&spec.name).is_none_or(|capture| !capture.job) {
                desk.registry.remove(&spec.name);
                // Nothing of that name is there or under way any more.
                let _is_added = desk.registry.add(spec, true, now);
            }
        }
        desk.declared = Some(config);
        desk.save();
    }
}
