//! What samples say of two clocks, under a supposition about what disturbs them: a Kalman filter.

/// The deviation of the asymmetry of a path of which nothing is known.
const ASYMMETRY: f64 = 0.5;

/// How far it walks, in the square root of a second.
const ASYMMETRY_WALK: f64 = 0.001;

/// What a sample's evidence is worth when the next one comes: fifty samples count.
const FADING: f64 = 0.98;

/// What disturbs the samples and the oscillator, as one filter supposes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Model {
    /// The deviation of a sample that met no queue, ns.
    pub(super) noise: f64,
    /// The deviation of what a queue makes the offset wrong by, as a share of what it adds to the delay.
    pub(super) spread: f64,
    /// How far the rate walks, ppb in the square root of a second.
    pub(super) walk: f64,
}

/// One sample, as the filter needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Point {
    /// Since the point before it, s.
    pub(super) after: f64,
    /// What the upstream's clock is ahead of the oscillator, ns.
    pub(super) ahead: f64,
    /// What queues added to the delay, ns.
    pub(super) queued: f64,
}

/// What is believed of the two clocks and of the path, and how sure that is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belief {
    /// What the upstream's clock is ahead of the oscillator, ns.
    pub(super) offset: f64,
    /// How fast it runs compared with it, ppb.
    pub(super) rate: f64,
    /// What share of the delay that queues add the offset seems greater by: 1 where all queues are on the way there, -1 on the way back.
    asymmetry: f64,
    // The covariances of the three.
    offset_offset: f64,
    offset_rate: f64,
    offset_asymmetry: f64,
    rate_rate: f64,
    rate_asymmetry: f64,
    asymmetry_asymmetry: f64,
    /// The logarithm of how likely the samples are under the model, older ones counting less and less.
    pub(super) evidence: f64,
}

impl Model {
    fn variance(&self, queued: f64) -> f64 {
        self.noise.powi(2) + (self.spread * queued).powi(2)
    }
}

impl Belief {
    /// After the first sample, when the rate is known from before to a deviation.
    pub(super) fn first(point: &Point, model: &Model, rate: (f64, f64), evidence: f64) -> Self {
        let asymmetry = ASYMMETRY.powi(2);
        Self {
            offset: point.ahead,
            rate: rate.0,
            asymmetry: 0.0,
            offset_offset: model.variance(point.queued) + point.queued.powi(2) * asymmetry,
            offset_rate: 0.0,
            offset_asymmetry: -point.queued * asymmetry,
            rate_rate: rate.1.powi(2),
            rate_asymmetry: 0.0,
            asymmetry_asymmetry: asymmetry,
            evidence,
        }
    }

    /// Later by so many seconds.
    pub(super) fn later(mut self, model: &Model, seconds: f64) -> Self {
        let walked = model.walk.powi(2) * seconds;
        self.offset += self.rate * seconds;
        self.offset_offset +=
            seconds * (2.0 * self.offset_rate + seconds * self.rate_rate) + walked * seconds.powi(2) / 3.0;
        self.offset_rate += seconds * self.rate_rate + walked * seconds / 2.0;
        self.offset_asymmetry += seconds * self.rate_asymmetry;
        self.rate_rate += walked;
        self.asymmetry_asymmetry =
            (self.asymmetry_asymmetry + ASYMMETRY_WALK.powi(2) * seconds).min(ASYMMETRY.powi(2));
        self
    }

    /// After one more sample.
    pub(super) fn after(self, model: &Model, point: &Point) -> Self {
        let mut new = self.later(model, point.after);
        let queued = point.queued;
        let offset = new.offset_offset + queued * new.offset_asymmetry;
        let rate = new.offset_rate + queued * new.rate_asymmetry;
        let asymmetry = new.offset_asymmetry + queued * new.asymmetry_asymmetry;
        let variance = offset + queued * asymmetry + model.variance(queued);
        let surprise = point.ahead - new.offset - queued * new.asymmetry;
        let step = surprise / variance;
        new.offset += offset * step;
        new.rate += rate * step;
        new.asymmetry += asymmetry * step;
        new.offset_offset -= offset * offset / variance;
        new.offset_rate -= offset * rate / variance;
        new.offset_asymmetry -= offset * asymmetry / variance;
        new.rate_rate -= rate * rate / variance;
        new.rate_asymmetry -= rate * asymmetry / variance;
        new.asymmetry_asymmetry -= asymmetry * asymmetry / variance;
        new.evidence = FADING * new.evidence - 0.5 * (variance.ln() + surprise * step);
        new
    }

    /// The variances of offset and rate.
    pub(super) fn variances(&self) -> (f64, f64) {
        (self.offset_offset.max(0.0), self.rate_rate.max(0.0))
    }
}
