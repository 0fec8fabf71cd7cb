"""Stimuli out of users' own data: arrays, events, spike times, grey values, torch data sets."""
