"""The tests that `tests/plugins/coverage.py` does not measure: they take long, and reach what other tests reach.

A new test is measured. List it here if it takes more than a fifth of a second and the floor of coverage holds without
it. `pytest --cov --cov-context=test` records the lines and branches that each test reaches.
"""

from __future__ import annotations

from collections.abc import Mapping

REPEATING_FILES = frozenset(
    {
        "tests/contract/test_cleanup_repository.py",
        "tests/contract/test_object_store.py",
        "tests/contract/test_quotas.py",
        "tests/contract/test_upload_repository.py",
        "tests/contract/test_upload_repository_listings.py",
        "tests/integration/test_admin.py",
        "tests/integration/test_admin_quota.py",
        "tests/integration/test_attacks_bodies.py",
        "tests/integration/test_attacks_tokens.py",
        "tests/integration/test_audit.py",
        "tests/integration/test_dead_requests.py",
        "tests/integration/test_download_table.py",
        "tests/integration/test_downloads.py",
        "tests/integration/test_http_rules.py",
        "tests/integration/test_least_privilege.py",
        "tests/integration/test_link_secrets.py",
        "tests/integration/test_tenant_isolation.py",
        "tests/unit/test_openapi.py",
        "tests/unit/test_rotation.py",
        "tests/unit/test_status.py",
        "tests/unit/uploads/test_cleanup_budget.py",
        "tests/unit/uploads/test_cleanup_dry.py",
        "tests/unit/uploads/test_cleanup_faults.py",
        "tests/unit/uploads/test_costs.py",
        "tests/unit/uploads/test_faults.py",
        "tests/unit/uploads/test_file_sizes.py",
        "tests/unit/uploads/test_limits.py",
        "tests/unit/uploads/test_random_histories.py",
    }
)

REPEATING_TESTS: Mapping[str, tuple[str, ...]] = {
    "tests/contract/test_deleted_files.py": ("test_deleted_files_are_listed_by_name_then_newest_first",),
    "tests/contract/test_events.py": ("test_publish_delivers_documented_event",),
    "tests/contract/test_file_repository_listings.py": (
        "test_list_files_from_any_position_is_inclusive",
        "test_list_files_sorts_by_utf8_bytes",
        "test_list_files_with_last_characters_of_unicode",
        "test_list_files_with_limit_continues_at_position",
        "test_list_files_with_prefix_filters",
    ),
    "tests/contract/test_file_repository_moves.py": ("test_get_name_states_say_which_names_are_free",),
    "tests/contract/test_object_listings.py": ("test_list_objects_paginates_each_once",),
    "tests/contract/test_upload_repository_chunks.py": ("test_replace_chunk_digest_of_changed_chunk_raises",),
    "tests/contract/test_upload_repository_leases.py": ("test_acquire_lease_after_shard_change_raises",),
    "tests/integration/test_admin_export.py": ("test_export_lists_every_file_with_its_key",),
    "tests/integration/test_chunk_endpoint.py": (
        "test_file_sent_to_function_url_is_complete",
        "test_function_url_counts_parts_of_completed_multipart_upload",
        "test_function_url_opens_upload_and_counts_presigned_parts",
        "test_function_url_serves_nothing_else",
    ),
    "tests/integration/test_cleanup.py": ("test_cleanup_expires_stale_uploads_of_namespace",),
    "tests/integration/test_draft.py": (
        "test_content_type_of_a_creation_is_that_of_the_file",
        "test_newer_versions_are_taken_as_the_newest",
        "test_repr_digest_of_other_algorithms_is_ignored_for_parts",
        "test_versions_from_6_on_need_the_type",
    ),
    "tests/integration/test_errors.py": (
        "test_hostile_parameters_never_return_5xx",
        "test_protected_route_requires_scope",
    ),
    "tests/integration/test_external_issuer.py": (
        "test_internal_and_external_tokens_are_accepted",
        "test_unavailable_or_hostile_issuer_uses_cached_keys",
    ),
    "tests/integration/test_file_changes.py": (
        "test_delete_rejected_deletes_nothing",
        "test_restore_rejected_changes_nothing",
    ),
    "tests/integration/test_file_listings.py": (
        "test_files_are_paginated",
        "test_folders_are_listed_once_across_pages",
    ),
    "tests/integration/test_file_records.py": ("test_rejected_change_changes_nothing",),
    "tests/integration/test_files.py": ("test_list_has_files_with_prefix",),
    "tests/integration/test_head.py": ("test_head_has_status_and_headers_of_get",),
    "tests/integration/test_link_protocols.py": (
        "test_cancelled_upload_gives_back",
        "test_creation_whose_bytes_do_not_fit_leaves_no_upload",
        "test_expired_upload_gives_back",
        "test_guest_uploads_by_the_draft",
        "test_guest_uploads_by_tus",
        "test_limits_hold_for_uploads_of_known_size",
        "test_uploads_of_others_are_a_404",
    ),
    "tests/integration/test_link_table.py": (
        "test_route_below_a_link_serves_what_the_link_is_for",
        "test_token_of_an_ended_link_opens_nothing",
    ),
    "tests/integration/test_link_tokens.py": (
        "test_password_opens_its_link",
        "test_token_requests_are_audited_without_secrets",
        "test_wrong_passwords_lock_a_network",
    ),
    "tests/integration/test_link_uploads.py": (
        "test_cancelled_upload_gives_back_once",
        "test_guest_uploads_a_file",
        "test_limits_reject_what_does_not_fit",
    ),
    "tests/integration/test_put_files.py": (
        "test_put_keeps_bytes_of_any_type",
        "test_put_leaves_upload_in_progress",
        "test_raw_body_that_came_as_changed_text_is_rejected",
    ),
    "tests/integration/test_quotas.py": ("test_start_over_quota_returns_403",),
    "tests/integration/test_recovery_paths.py": (
        "test_file_with_missing_object_returns_503",
        "test_function_in_new_process_verifies_token",
        "test_lost_completion_response_is_recovered_by_sweep",
        "test_status_of_missing_multipart_upload_counts_no_bytes",
        "test_sweep_deletes_due_storage",
    ),
    "tests/integration/test_rename.py": ("test_start_under_rename_gets_a_free_name",),
    "tests/integration/test_resumable_addresses.py": ("test_location_is_absolute_behind_every_address",),
    "tests/integration/test_sam_cli_bodies.py": ("test_file_of_any_type_arrives_byte_for_byte",),
    "tests/integration/test_start_rules.py": (
        "test_joined_upload_completes_only_with_checksum_or_resume",
        "test_plan_has_most_careful_if_exists_and_first_metadata",
        "test_restart_over_bytes_takes_requests_by_id_only",
        "test_start_without_proof_after_bytes_names_the_ways_out",
    ),
    "tests/integration/test_status.py": (
        "test_long_polls_of_busy_namespace_leave_turns_for_others",
        "test_status_from_pending_to_complete",
    ),
    "tests/integration/test_tus.py": (
        "test_concatenation_joins_partial_uploads",
        "test_deleted_upload_leaves_nothing_in_s3",
    ),
    "tests/integration/test_tus_rules.py": (
        "test_final_upload_takes_a_hundred_partials",
        "test_request_of_another_version_is_not_processed",
    ),
    "tests/integration/test_uploads.py": (
        "test_longest_names_work_on_every_route",
        "test_start_of_existing_file_returns_it_or_conflicts",
    ),
    "tests/unit/links/test_link_faults.py": ("test_right_password_gets_a_token_after_a_fault",),
    "tests/unit/resumable/test_append.py": ("test_append_any_length_and_alignment_makes_the_file",),
    "tests/unit/resumable/test_schedules.py": (
        "test_append_beside_delete_leaves_a_file_or_nothing",
        "test_repeated_last_append_while_the_first_still_runs",
        "test_two_appends_at_one_offset_one_is_stored",
    ),
    "tests/unit/test_conditions.py": ("test_evaluate_any_text_never_raises",),
    "tests/unit/test_disposition.py": ("test_attachment_legal_name_round_trips",),
    "tests/unit/test_download_forms.py": ("test_other_type_stays_attachment",),
    "tests/unit/test_external_issuer.py": (
        "test_cached_keys_serve_for_an_hour_while_issuer_is_down",
        "test_unknown_kids_are_rate_limited",
    ),
    "tests/unit/test_http_bodies.py": ("test_wrong_character_anywhere_in_long_base64_is_rejected",),
    "tests/unit/test_list_files.py": (
        "test_list_files_any_names_pages_match_sorted_model",
        "test_list_files_while_names_change_lists_lasting_ones_once",
    ),
    "tests/unit/test_long_poll.py": (
        "test_status_ten_thousand_parts_exact_by_few_reads",
        "test_wait_part_uploaded_returns_at_next_poll",
    ),
    "tests/unit/uploads/test_races.py": ("test_compaction_concurrent_chunks_counted_once",),
    "tests/unit/uploads/test_replaced_digests.py": (
        "test_late_call_of_dead_request_counts_for_nothing",
        "test_requests_with_different_bytes_interleaved_acknowledge_one",
    ),
}
"""Names of tests, without their parameters, by the path of their file."""
