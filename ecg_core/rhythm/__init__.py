"""From labelled beats to intervals, events and burden."""
