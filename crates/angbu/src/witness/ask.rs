//! The job by which a centre asks its configured witnesses to cosign its newest checkpoint.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use rand::RngExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use angbu_client::{Trust, Witness, WitnessAnswer};
use angbu_evidence::cosign;
use angbu_evidence::note::{Note, SignatureLine, VerifierKey};
use angbu_evidence::witness::{AddCheckpoint, parse_cosignatures};
use angbu_http::Centre;
use angbu_store::Published;

use crate::config::WitnessedBy;

/// How often the witnesses are asked about a log that grows.
const EVERY: Duration = Duration::from_secs(2);
/// How long a witness that could not be asked is left alone, at first and at most.
const REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);
/// How often one head is shown anew because the witness knows the log with another size.
const TRIES: u32 = 3;

/// Starts the asking; it ends soon after `stop` turns true.
///
/// # Errors
/// A witness's address or certificates that cannot be used.
pub(crate) fn ask(
    tasks: &mut JoinSet<()>,
    centre: &Arc<Centre>,
    witnesses: &[WitnessedBy],
    stop: &watch::Receiver<bool>,
) -> anyhow::Result<()> {
    for (place, witness) in witnesses.iter().enumerate() {
        let trust = match &witness.certificate_authorities {
            None => Trust::Public,
            Some(path) => {
                let pem = std::fs::read(path)
                    .with_context(|| format!("cannot read the certificates in {}", path.display()))?;
                Trust::authorities(&pem)?
            }
        };
        let client = Witness::new(&witness.url, &trust)
            .with_context(|| format!("the witness {} cannot be asked", witness.key.name()))?;
        let asked = Asked { place, key: witness.key.clone(), client, centre: Arc::clone(centre), known: 0 };
        tasks.spawn(until_stopped(stop.clone(), asked.run()));
    }
    if !witnesses.is_empty() {
        let centre = Arc::clone(centre);
        let rounds = async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                centre.begin_witnessing();
            }
        };
        tasks.spawn(until_stopped(stop.clone(), rounds));
    }
    Ok(())
}

async fn until_stopped(mut stop: watch::Receiver<bool>, work: impl Future<Output = ()>) {
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stopped| *stopped) => {}
    }
}

/// One witness that is asked, one question at a time.
struct Asked {
    place: usize,
    key: VerifierKey,
    client: Witness,
    centre: Arc<Centre>,
    /// The size that it knows, as far as this centre has heard.
    known: u64,
}

impl Asked {
    async fn run(mut self) {
        let (mut before, mut failures, mut resting, mut told) = (None, 0u32, None, None);
        self.known = self.centre.witnessed_size(self.place).await.unwrap_or_default();
        loop {
            let head = match (resting, &before) {
                // Who could not be asked is asked again about the same head, however quiet the log is.
                (Some(until), Some(last)) => tokio::select! {
                    head = self.centre.head_to_witness(Some(last)) => head,
                    () = sleep_until(until) => Arc::clone(last),
                },
                _ => self.centre.head_to_witness(before.as_ref()).await,
            };
            before = Some(Arc::clone(&head));
            let rests = resting.is_some_and(|until| Instant::now() < until);
            let asked = if rests { Err(None) } else { self.ask(&head).await.map_err(Some) };
            let noted = match asked {
                Ok((line, seconds)) => {
                    (failures, resting, told) = (0, None, None);
                    self.centre.witnessed_by(self.place, &head, line, seconds).await
                }
                Err(why) => {
                    if let Some(why) = &why {
                        let rest = REST.saturating_mul(1 << failures.min(6)).min(LONGEST_REST);
                        failures = failures.saturating_add(1);
                        resting = Some(Instant::now() + rest.mul_f64(rand::rng().random_range(0.5..=1.0)));
                        if told.as_ref() != Some(why) {
                            tracing::warn!(witness = self.key.name(), %why, "a witness has not cosigned");
                        }
                    }
                    let news = why.filter(|why| told.as_ref() != Some(why));
                    told = news.clone().or(told);
                    self.centre.not_witnessed_by(self.place, &head, news).await
                }
            };
            if let Err(error) = noted {
                tracing::debug!(%error, "what a witness said could not be written down");
            }
        }
    }

    /// Shows the witness a head, and checks what it answers; an error is in words.
    async fn ask(&mut self, head: &Arc<Published>) -> Result<(SignatureLine, u64), String> {
        let size = head.head.size;
        let mut old = self.known.min(size);
        for _ in 0..TRIES {
            let proof = self.centre.consistency(old, size).await.map_err(|error| error.to_string())?;
            let request = AddCheckpoint { old, proof, note: head.checkpoint.clone() };
            match self.show(request).await? {
                WitnessAnswer::Cosigned(lines) => {
                    let cosigned = self.check(head, &lines)?;
                    self.known = size;
                    return Ok(cosigned);
                }
                WitnessAnswer::Knows(knows) if knows < size => old = knows,
                WitnessAnswer::Knows(knows) if knows == size && old != size => old = size,
                WitnessAnswer::Knows(knows) => {
                    // Another centre of this site may have shown it what this one has not read yet.
                    let behind = knows > size && self.centre.reaches(knows).await;
                    self.known = knows;
                    return Err(if behind {
                        "it has cosigned a newer checkpoint already".to_owned()
                    } else {
                        self.compare(&format!("it knows this log with {knows} entries, here it has {size}"))
                            .await
                    });
                }
                WitnessAnswer::Refused { status: 422, reason } => return Err(self.compare(&reason).await),
                WitnessAnswer::Refused { status, reason } => {
                    return Err(format!("it refused with the HTTP status {status}: {reason}"));
                }
            }
        }
        Err("it says another size each time that it is asked".to_owned())
    }

    async fn show(&self, request: AddCheckpoint) -> Result<WitnessAnswer, String> {
        let client = self.client.clone();
        let answered = tokio::task::spawn_blocking(move || client.add_checkpoint(&request)).await;
        answered.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
    }

    /// Looks at the checkpoint that the witness has of this log: if this log does not lead to it, it stands still.
    async fn compare(&self, why: &str) -> String {
        let (client, origin) = (self.client.clone(), self.centre.site().origin.clone());
        let asked = tokio::task::spawn_blocking(move || client.checkpoint_of(&origin)).await;
        let Ok(Ok(Some(note))) = asked else {
            return format!("{why}; it does not show that checkpoint, so that nothing follows from it");
        };
        match self.centre.store().seen_checkpoint(&note).await {
            Ok(()) => why.to_owned(),
            Err(error) => format!("{why}; {error}"),
        }
    }

    fn check(&self, head: &Published, lines: &str) -> Result<(SignatureLine, u64), String> {
        let lines = parse_cosignatures(lines).ok_or("it answered with something else than cosignatures")?;
        let line = lines.into_iter().find(|line| line.claims(&self.key));
        let line = line.ok_or("its answer is not signed by the key in the configuration")?;
        let text = Note::parse(&head.checkpoint).map_err(|error| error.to_string())?.text;
        let seconds = cosign::verify(&text, &line, &self.key).map_err(|error| error.to_string())?;
        Ok((line, seconds))
    }
}
