"""The engine's own settings, by name: their kinds, and which of them may be given by hand.

The catalogue is the one of the pinned engine (`information_schema.df_settings`), written down so that a wrong key is
found without loading the engine; a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator

_CATALOGUE: dict[str, dict[str, str]] = {
    "datafusion.catalog": {
        "bool": "create_default_catalog_and_schema has_header information_schema newlines_in_values",
        "text": "default_catalog default_schema format location",
    },
    "datafusion.execution": {
        "int": """
            batch_size hash_join_buffering_capacity max_buffered_batches_per_output_file max_spill_file_size_bytes
            meta_fetch_concurrency minimum_parallel_output_files objectstore_writer_buffer_size
            perfect_hash_join_small_build_threshold planning_concurrency skip_partial_aggregation_probe_rows_threshold
            soft_max_rows_per_output_file sort_in_place_threshold_bytes sort_pushdown_buffer_capacity
            sort_spill_reservation_bytes target_partitions
        """,
        "bool": """
            coalesce_batches collect_statistics enable_ansi_mode enable_file_stream_work_stealing
            enable_migration_aggregate enable_recursive_ctes enforce_batch_size_in_joins keep_partition_by_columns
            listing_table_factory_infer_partitions listing_table_ignore_subdirectory
            skip_physical_aggregate_schema_check split_file_groups_by_statistics
            use_row_number_estimates_to_optimize_partitioning
        """,
        "float": "perfect_hash_join_min_key_density skip_partial_aggregation_probe_ratio_threshold",
        "text": "spill_compression time_zone",
    },
    "datafusion.execution.parquet": {
        "bool": """
            allow_single_file_parallelism binary_as_string bloom_filter_on_read bloom_filter_on_write dictionary_enabled
            enable_page_index force_filter_selections pruning pushdown_filters reorder_filters schema_force_view_types
            skip_arrow_metadata skip_metadata
        """,
        "text": """
            bloom_filter_fpp bloom_filter_ndv coerce_int96 coerce_int96_tz compression created_by encoding
            max_predicate_cache_size max_row_group_bytes statistics_enabled writer_version
        """,
        "int": """
            column_index_truncate_length data_page_row_count_limit data_pagesize_limit dictionary_page_size_limit
            max_in_list_size max_row_group_size maximum_buffered_record_batches_per_stream
            maximum_parallel_row_group_writers metadata_size_hint statistics_truncate_length write_batch_size
        """,
    },
    "datafusion.execution.parquet.content_defined_chunking": {
        "bool": "enabled",
        "int": "max_chunk_size min_chunk_size norm_level",
    },
    "datafusion.explain": {
        "text": "analyze_categories analyze_level format",
        "bool": "logical_plan_only physical_plan_only show_schema show_sizes show_statistics",
        "int": "tree_maximum_render_width",
    },
    "datafusion.format": {
        "text": "date_format datetime_format duration_format null time_format timestamp_format timestamp_tz_format",
        "bool": "safe types_info",
    },
    "datafusion.optimizer": {
        "bool": """
            allow_symmetric_joins_without_pruning enable_aggregate_dynamic_filter_pushdown
            enable_distinct_aggregation_soft_limit enable_dynamic_filter_pushdown enable_join_dynamic_filter_pushdown
            enable_leaf_expression_pushdown enable_physical_uncorrelated_scalar_subquery enable_piecewise_merge_join
            enable_round_robin_repartition enable_sort_pushdown enable_topk_aggregation
            enable_topk_dynamic_filter_pushdown enable_topk_repartition enable_unions_to_filter enable_window_limits
            enable_window_topn expand_views_at_output filter_null_join_keys join_reordering prefer_existing_sort
            prefer_existing_union prefer_hash_join repartition_aggregations repartition_file_scans repartition_joins
            repartition_sorts repartition_windows skip_failed_rules top_down_join_key_reordering use_statistics_registry
        """,
        "int": """
            default_filter_selectivity hash_join_inlist_pushdown_max_distinct_values hash_join_inlist_pushdown_max_size
            hash_join_single_partition_threshold hash_join_single_partition_threshold_rows max_passes
            preserve_file_partitions repartition_file_min_size subset_repartition_threshold
        """,
    },
    "datafusion.runtime": {
        "text": """
            file_statistics_cache_limit list_files_cache_limit list_files_cache_ttl max_temp_directory_size memory_limit
            metadata_cache_limit temp_directory
        """,
        "int": "max_spill_merge_fan_in",
    },
    "datafusion.spark": {"text": "map_key_dedup_policy"},
    "datafusion.sql_parser": {
        "bool": """
            collect_spans enable_ident_normalization enable_options_value_normalization enable_subquery_sort_elimination
            map_string_types_to_utf8view parse_float_as_decimal support_varchar_with_length
        """,
        "text": "default_null_ordering dialect",
        "int": "recursion_limit",
    },
}


def _keys() -> Iterator[tuple[str, str]]:
    for table, kinds in _CATALOGUE.items():
        for kind, names in kinds.items():
            for name in names.split():
                yield f"{table}.{name}", kind


KINDS: dict[str, str] = dict(sorted(_keys()))
"""Every setting of the engine, and the kind of its values: bool, int, float or text."""

_OWN = {
    "datafusion.execution.time_zone",
    "datafusion.execution.sort_in_place_threshold_bytes",
    "datafusion.optimizer.enable_topk_aggregation",
    "datafusion.optimizer.repartition_sorts",
}
_OWN_TABLES = ("datafusion.catalog.", "datafusion.sql_parser.")

_SPEED = {
    "datafusion.execution.meta_fetch_concurrency",
    "datafusion.execution.planning_concurrency",
    "datafusion.execution.spill_compression",
    "datafusion.runtime.file_statistics_cache_limit",
    "datafusion.runtime.list_files_cache_limit",
    "datafusion.runtime.list_files_cache_ttl",
}
_ON_WRITING = {
    f"datafusion.execution.{name}"
    for name in [
        "keep_partition_by_columns",
        "max_buffered_batches_per_output_file",
        "minimum_parallel_output_files",
        "objectstore_writer_buffer_size",
        "soft_max_rows_per_output_file",
        "parquet.allow_single_file_parallelism",
        "parquet.bloom_filter_fpp",
        "parquet.bloom_filter_ndv",
        "parquet.bloom_filter_on_write",
        "parquet.column_index_truncate_length",
        "parquet.compression",
        "parquet.content_defined_chunking.enabled",
        "parquet.content_defined_chunking.max_chunk_size",
        "parquet.content_defined_chunking.min_chunk_size",
        "parquet.content_defined_chunking.norm_level",
        "parquet.created_by",
        "parquet.data_page_row_count_limit",
        "parquet.data_pagesize_limit",
        "parquet.dictionary_enabled",
        "parquet.dictionary_page_size_limit",
        "parquet.encoding",
        "parquet.max_row_group_bytes",
        "parquet.max_row_group_size",
        "parquet.maximum_buffered_record_batches_per_stream",
        "parquet.maximum_parallel_row_group_writers",
        "parquet.skip_arrow_metadata",
        "parquet.statistics_enabled",
        "parquet.statistics_truncate_length",
        "parquet.write_batch_size",
        "parquet.writer_version",
    ]
}
"""What the engine's own writer does: products are written by `rules.engine.writing`, which knows none of them."""


def is_own(key: str) -> bool:
    """Whether rules sets a key itself, because what a query means, or a fault of the engine, depends on it."""
    return key in _OWN or key.startswith(_OWN_TABLES)


def is_speed_only(key: str) -> bool:
    """Whether a key that is no setting of a profile is known to change no table. All others may change any."""
    return key in _SPEED or key in _ON_WRITING or key.startswith("datafusion.explain.")
