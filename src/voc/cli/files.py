"""Moved to voc.files."""

from voc.files import open_output as open_output
from voc.files import read_table as read_table
from voc.files import stream_rows as stream_rows
from voc.files import write_json_lines as write_json_lines
