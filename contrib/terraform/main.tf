# SPDX-License-Identifier: Apache-2.0
#
# What gantryd needs in an AWS account: queues to take requests from, a cluster to run them on, a
# task definition that deploys, and roles that may do that and nothing else. README.md says how.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.40, < 7.0"
    }
  }
}

provider "aws" {
  region = var.region
  default_tags {
    tags = merge({ application = "gantry" }, var.tags)
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
}
