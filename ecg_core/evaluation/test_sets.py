"""The test sets of the models, in plain words."""

from typing import Final

TEST_SETS: Final = {  # title of each key of a metrics file
    "mitdb_ds2": "mitdb DS2, first lead",
    "mitdb_ds2_without_202": "mitdb DS2 without 202",
    "mitdb_ds2_without_232": "mitdb DS2 without 232",
    "mitdb_ds2_all_leads": "mitdb DS2, both leads fused, as by default",
    "mitdb_ds2_noise_12db": "mitdb DS2, electrode motion at 12 dB",
    "mitdb_ds2_noise_6db": "mitdb DS2, electrode motion at 6 dB",
    "svdb_test": "svdb test, first lead",
    "svdb_test_all_leads": "svdb test, both leads fused, as by default",
    "svdb_test_12_own_beats": "svdb test, first 12 beats labelled",
    "svdb_test_50_own_beats": "svdb test, first 50 beats labelled",
    "svdb_test_5_own_minutes": "svdb test, first 5 minutes labelled",
    "svdb_test_12_asked": "svdb test, 12 queried beats labelled",
    "svdb_test_50_asked": "svdb test, 50 queried beats labelled",
    "svdb_test_50_left_out": "the same beats excluded, not labelled",
    "svdb_test_all_leads_50_asked": "svdb test, both leads, 50 queried beats labelled",
    "svdb_test_all_leads_50_left_out": "the same beats excluded, not labelled",
    "mitdb_ds2_50_asked": "mitdb DS2, 50 queried beats labelled",
    "mitdb_ds2_50_left_out": "the same beats excluded, not labelled",
    "icentia11k": "icentia11k, 8.2 h of one patient",
}
