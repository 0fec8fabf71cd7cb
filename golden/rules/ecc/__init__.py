"""ECC: conversion of a trained CNN (Wu, Yi & Huang 2022)."""
