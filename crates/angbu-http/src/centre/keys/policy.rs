//! A customer's rules for one-time keys.

use angbu_keys::{FARTHEST_BACK, Policy};
use angbu_store::keys::KeyPolicyRow;
use angbu_units::{CustomerId, EntryId, Nanos};

use super::{POLICY, policy_of};
use crate::centre::{Centre, append_text};
use crate::problem::Refusal;
use crate::types::keys::{KeyPolicy, WhileUnprovenWord};

/// The longest that a lock-out may last, in seconds.
const LONGEST_LOCK: u64 = 86_400;
/// The most failures in a row until a token is disabled: NIST SP 800-63B, 5.2.2.
const MOST_FAILURES: u64 = 100;

/// What is wanted of a policy; what is `None` stays as it is.
#[derive(Default)]
pub(crate) struct PolicyWish {
    pub(crate) back_s: Option<u64>,
    pub(crate) ahead_s: Option<u64>,
    pub(crate) long_cycles: Option<bool>,
    pub(crate) mark_unproven: Option<bool>,
    pub(crate) lock_after: Option<u64>,
    pub(crate) lock_first_s: Option<u64>,
    pub(crate) lock_longest_s: Option<u64>,
    pub(crate) disable_at: Option<u64>,
    /// Which revision is changed; any where none is named.
    pub(crate) revision: Option<u64>,
}

impl Centre {
    /// A customer's rules, as they were a moment ago: another centre's change counts a second later.
    pub(super) async fn policy_now(&self, customer: CustomerId) -> Result<Policy, Refusal> {
        let now = self.clock.read().monotonic;
        if let Some(policy) = self.recent_policies.get(&customer, now) {
            return Ok(policy);
        }
        let row = self.store.read(move |snapshot| snapshot.key_policy(customer)).await?;
        let policy = policy_of(row.as_ref());
        self.recent_policies.put(customer, policy, now);
        Ok(policy)
    }

    /// A customer's rules, for showing.
    pub(crate) async fn key_policy(&self, customer: CustomerId) -> Result<KeyPolicy, Refusal> {
        let row = self.store.read(move |snapshot| snapshot.key_policy(customer)).await?;
        Ok(show(&row.unwrap_or_else(|| built_in(customer))))
    }

    /// Changes a customer's rules; the change is an entry.
    pub(crate) async fn change_key_policy(
        &self,
        customer: CustomerId,
        wish: PolicyWish,
        by: String,
    ) -> Result<KeyPolicy, Refusal> {
        let instant = self.instant();
        let row = self
            .store
            .write(move |tx| {
                let mut row = tx.key_policy(customer)?.unwrap_or_else(|| built_in(customer));
                if wish.revision.is_some_and(|revision| revision != row.version) {
                    return Err(Refusal::UnderWay(
                        "the policy was changed meanwhile; load it again and repeat the change".into(),
                    ));
                }
                apply(&mut row, &wish)?;
                let fields = [
                    ("back-s", seconds(row.back).to_string()),
                    ("ahead-s", seconds(row.ahead).to_string()),
                    ("long-cycles", if row.long_cycles { "yes" } else { "no" }.to_owned()),
                    ("while-unproven", if row.mark_unproven { "mark" } else { "refuse" }.to_owned()),
                    ("lock-after", row.lock_after.to_string()),
                    ("lock-first-s", seconds(row.lock_first).to_string()),
                    ("lock-longest-s", seconds(row.lock_longest).to_string()),
                    ("disable-at", row.disable_at.to_string()),
                    ("by", by),
                ];
                row.entry = append_text(tx, POLICY, customer, instant, fields)?;
                tx.put_key_policy(&row)?;
                row.version = row.version.saturating_add(1);
                Ok::<_, Refusal>(row)
            })
            .await?;
        self.recent_policies.forget();
        Ok(show(&row))
    }
}

fn built_in(customer: CustomerId) -> KeyPolicyRow {
    let Policy { back, ahead, long_cycles, lockout, .. } = Policy::default();
    KeyPolicyRow {
        customer,
        back,
        ahead,
        long_cycles,
        mark_unproven: false,
        lock_after: u64::from(lockout.after),
        lock_first: lockout.first,
        lock_longest: lockout.longest,
        disable_at: u64::from(lockout.disable_at),
        entry: EntryId::from_bytes([0; 16]),
        version: 0,
    }
}

fn apply(row: &mut KeyPolicyRow, wish: &PolicyWish) -> Result<(), Refusal> {
    let within = |name: &str, value: u64, from: u64, to: u64| {
        if (from..=to).contains(&value) {
            Ok(value)
        } else {
            Err(Refusal::Invalid(format!("{name} lies between {from} and {to}")))
        }
    };
    let farthest = seconds(FARTHEST_BACK);
    if let Some(back) = wish.back_s {
        row.back = length(within("back_s", back, 0, farthest)?);
    }
    if let Some(ahead) = wish.ahead_s {
        row.ahead = length(within("ahead_s", ahead, 0, farthest)?);
    }
    if let Some(after) = wish.lock_after {
        row.lock_after = within("lock_after", after, 1, MOST_FAILURES)?;
    }
    if let Some(first) = wish.lock_first_s {
        row.lock_first = length(within("lock_first_s", first, 30, LONGEST_LOCK)?);
    }
    if let Some(longest) = wish.lock_longest_s {
        row.lock_longest = length(within("lock_longest_s", longest, 30, LONGEST_LOCK)?);
    }
    if let Some(disable_at) = wish.disable_at {
        row.disable_at = within("disable_at", disable_at, 1, MOST_FAILURES)?;
    }
    if row.lock_longest < row.lock_first {
        return Err(Refusal::Invalid("lock_longest_s must be at least lock_first_s".into()));
    }
    row.long_cycles = wish.long_cycles.unwrap_or(row.long_cycles);
    row.mark_unproven = wish.mark_unproven.unwrap_or(row.mark_unproven);
    Ok(())
}

fn length(seconds: u64) -> Nanos {
    Nanos::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX / 1_000_000_000))
}

fn seconds(length: Nanos) -> u64 {
    u64::try_from(length.count() / 1_000_000_000).unwrap_or(0)
}

fn show(row: &KeyPolicyRow) -> KeyPolicy {
    KeyPolicy {
        back_s: seconds(row.back),
        ahead_s: seconds(row.ahead),
        long_cycles: row.long_cycles,
        while_unproven: if row.mark_unproven { WhileUnprovenWord::Mark } else { WhileUnprovenWord::Refuse },
        lock_after: row.lock_after,
        lock_first_s: seconds(row.lock_first),
        lock_longest_s: seconds(row.lock_longest),
        disable_at: row.disable_at,
        revision: row.version,
    }
}
