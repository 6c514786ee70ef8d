use ravelin_config::{
    CaptureCompression, CaptureDirection, CaptureFormat, CapturePoint, CaptureVerdict, Code, Config, Job,
    Report,
};

use super::{CaptureSpec, Compression, Format, Point, Verdict, Way, compile, spec::drop_reason};

/// Adds to a report what is wrong with the captures of a configuration and only libpcap and the packet path can know.
pub(crate) fn check_jobs(config: &Config, mut report: Report) -> Report {
    for job in &config.jobs {
        if let Some(filter) = &job.filter
            && let Err(error) = compile(&filter.text)
        {
            report = report.refuse_text(Code::Malformed, filter, error.to_string());
        }
        for reason in &job.drop_reasons {
            if let Err(error) = drop_reason(&reason.text) {
                report = report.refuse_text(Code::UnknownWord, reason, error.to_string());
            }
        }
    }
    report
}

impl From<&Job> for CaptureSpec {
    fn from(job: &Job) -> Self {
        Self {
            name: job.name.clone(),
            endpoint: job.endpoint.as_ref().map(ToString::to_string),
            filter: job.filter.as_ref().map(|filter| filter.text.clone()),
            direction: match job.direction {
                CaptureDirection::Both => Way::Both,
                CaptureDirection::In => Way::In,
                CaptureDirection::Out => Way::Out,
            },
            verdict: job.verdict.map(|verdict| match verdict {
                CaptureVerdict::Allow => Verdict::Allow,
                CaptureVerdict::Drop => Verdict::Drop,
            }),
            drop_reasons: job.drop_reasons.iter().map(|reason| reason.text.clone()).collect(),
            point: match job.point {
                CapturePoint::Received => Point::Received,
                CapturePoint::Forwarded => Point::Forwarded,
            },
            tier: job.tier.clone(),
            policy: job.policy.clone(),
            rule: job.rule,
            sample: job.sample,
            snaplen: job.snaplen,
            duration: job.duration.map(|duration| duration.as_secs()),
            start: job.start,
            end: job.end,
            cron: job.cron.clone(),
            time_zone: job.cron.as_ref().map(|_| job.time_zone.clone()),
            max_size: job.max_size,
            max_packets: job.max_packets,
            rotate_size: job.rotate_size,
            rotate_time: job.rotate_time.map(|time| time.as_secs()),
            files: job.files,
            format: match job.format {
                CaptureFormat::Pcapng => Format::Pcapng,
                CaptureFormat::Pcap => Format::Pcap,
            },
            compression: match job.compression {
                CaptureCompression::None => Compression::None,
                CaptureCompression::Gzip => Compression::Gzip,
                CaptureCompression::Zstd => Compression::Zstd,
            },
        }
    }
}
