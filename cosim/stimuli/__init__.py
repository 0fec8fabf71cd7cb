"""Stimuli out of users' own data: dense arrays, events, spike times, grey values, torch data sets."""
