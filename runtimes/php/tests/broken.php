<?php return function (
