//! What every database must do, in terms of the store's public interface alone. A database is mounted by
//! `conformance!(place)`, where `place()` makes an empty [`Place`].

mod accounts;
mod deliveries;
mod evidence;
mod keys;
mod one_time_keys;
mod operations;
mod passkeys;
mod people;
mod requests;
mod third_parties;
mod time;
mod transactions;

pub(crate) use accounts::*;
pub(crate) use deliveries::*;
pub(crate) use evidence::*;
pub(crate) use keys::*;
pub(crate) use one_time_keys::*;
pub(crate) use operations::*;
pub(crate) use passkeys::*;
pub(crate) use people::*;
pub(crate) use requests::*;
pub(crate) use third_parties::*;
pub(crate) use time::*;
pub(crate) use transactions::*;

/// Mounts every test of the suite on one database.
#[macro_export]
macro_rules! conformance {
    ($place:path) => {
        $crate::conformance!($place =>
            customers_have_versions_and_revisions,
            staff_have_versions,
            tokens_are_found_until_revoked,
            sessions_come_and_go,
            codes_are_taken_once,
            codes_are_listed_and_taken_away,
            people_are_found_by_login_among_their_customers,
            people_are_listed_page_by_page,
            machines_have_versions_and_end_their_tokens,
            the_last_operators_are_counted_under_a_lock,
            the_site_is_made_once,
            uploads_take_effect_once,
            exchanges_are_read_as_graphs,
            segments_close_exchanges_in_order,
            share_links_count_their_views_and_end,
            reports_are_kept_once_a_month,
            exchanges_go_when_a_summary_stands_for_them,
            what_is_left_of_a_body_is_its_root,
            calibrations_are_kept_with_their_sealed_files,
            runs_end_well_or_are_left,
            states_and_sources_are_read_over_time,
            an_epoch_begins_once,
            an_identifier_is_taken_once_and_requests_arrive_in_order,
            the_last_arrival_is_kept_until_records_are_lost,
            one_incident_of_a_kind_is_open_at_a_time,
            agents_in_question_are_found_by_what_they_show,
            deliveries_wait_until_they_have_ended,
            webhooks_keep_their_secrets_sealed,
            tokens_of_keys_are_found_by_their_holders_login,
            of_many_tries_against_one_version_one_is_kept,
            recovery_codes_are_used_once,
            policies_of_keys_have_versions,
            strangers_stand_where_tries_left_them,
            tries_that_were_not_judged_are_told_once,
            a_failing_transaction_leaves_its_neighbours_alone,
            a_panicking_transaction_leaves_its_neighbours_alone,
            requests_have_versions_and_end_once,
            failures_are_counted_in_buckets,
            snapshots_see_one_state,
            entries_are_proven,
            entries_are_found_by_customer_and_time,
            entries_are_listed_from_the_newest_on,
            the_log_grows_as_its_curve_says,
            tiles_and_bundles_are_those_of_the_log,
            manifests_prove_counts,
            what_cannot_enter_the_log_is_refused,
            bodies_are_sealed,
            erased_fields_leave_their_hashes,
            keys_are_replaced_while_everybody_writes,
            records_are_sealed_anew_from_where_a_stop_left_them,
            keys_that_sign_are_replaced,
            people_are_found_while_their_keys_are_replaced,
            passkeys_are_found_by_their_credential_ids,
            passkeys_are_found_while_their_keys_are_replaced,
            a_passkey_question_is_answered_once,
            a_second_sequencer_fences_the_first,
            a_log_holds_whatever_is_appended_and_however_often_it_is_reopened,
        );
    };
    ($place:path => $($test:ident),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                conformance::$test(&$place());
            }
        )*
    };
}
