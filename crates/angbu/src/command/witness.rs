//! `angbu witness`: watches logs and cosigns what they show, as a process of its own.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::json;
use tokio::sync::watch;

use angbu_agent::clock::SystemClock;
use angbu_evidence::note::VerifierKey;

use super::{Failure, Output, WitnessArguments, WitnessCommand, WitnessPlaces, signals};
use crate::witness::{Keeper, RunningWitness, WitnessConfig, WitnessEvent};

/// Runs the witness until SIGINT or SIGTERM, or prints its key.
pub(super) fn run(arguments: &WitnessArguments) -> Result<(), Failure> {
    let places = &arguments.places;
    let mut config = match &places.config {
        Some(path) => WitnessConfig::read(path).map_err(|error| Failure::Usage(error.to_string()))?,
        None => WitnessConfig::default(),
    };
    apply(places, &mut config);
    if let Some(WitnessCommand::Key) = arguments.command {
        return print_key(&config.data, config.name.as_deref(), Output::new(places.json));
    }
    for text in &arguments.log {
        let key: Result<VerifierKey, _> = text.trim().parse();
        config.logs.push(key.map_err(|error| Failure::Usage(format!("--log: {error}")))?);
    }
    if let Some(listen) = arguments.listen {
        config.http.listen = listen;
    }
    config.check().map_err(|error| Failure::Usage(error.to_string()))?;
    watch_logs(config, places.json)
}

fn apply(places: &WitnessPlaces, config: &mut WitnessConfig) {
    if let Some(data) = &places.data {
        config.data.clone_from(data);
    }
    if places.name.is_some() {
        config.name.clone_from(&places.name);
    }
}

fn print_key(folder: &Path, name: Option<&str>, output: Output) -> Result<(), Failure> {
    let key = Keeper::key_in(folder, name).map_err(anyhow::Error::from)?.to_string();
    output.result(&json!({ "key": key }), || key.clone());
    Ok(())
}

fn watch_logs(config: WitnessConfig, json: bool) -> Result<(), Failure> {
    signals::log(json);
    let (end, mut ended) = watch::channel(false);
    signals::on_end(move || {
        let _ = end.send(true);
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the threads that answer HTTP")?;
    runtime.block_on(async move {
        let output = Output::new(json);
        let events = Arc::new(move |event: &WitnessEvent| tell(event, output));
        let witness = RunningWitness::start(&config, Arc::new(SystemClock), events).await?;
        let key = witness.key().to_string();
        output.object(&json!({ "http": witness.url(), "key": key, "pid": std::process::id() }));
        output.words(&format!(
            "angbu {} is ready to witness {}\n\n  address   {}\n  key       {key}\n  data      {}\n\nCtrl-C ends it",
            env!("CARGO_PKG_VERSION"),
            witness.origins().join(", "),
            witness.url(),
            config.data.display(),
        ));
        let _ = ended.wait_for(|ended| *ended).await;
        witness.stop().await;
        anyhow::Ok(())
    })?;
    Ok(())
}

fn tell(event: &WitnessEvent, output: Output) {
    let WitnessEvent::Fork { origin, file, proven } = event;
    tracing::error!(%origin, %file, %proven, "a log has signed two histories");
    output.result(event, || {
        format!(
            "FORK: {proven}\nthe proof is in {file}; anyone can check it: angbu verify {file} --key KEY-OF-THE-LOG"
        )
    });
}
